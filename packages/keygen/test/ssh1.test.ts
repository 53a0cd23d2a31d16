import fc from 'fast-check'
import { inspectSsh1, isSsh1, ssh1, ssh1Public } from '../src/formats/ssh1.js'

/** `puttygen -t rsa1 -b 1024 -C 'häna rsa1' -o s1`, PuTTY 0.78, in base64. */
const PLAIN = Buffer.from(
  'U1NIIFBSSVZBVEUgS0VZIEZJTEUgRk9STUFUIDEuMQoAAAAAAAAAAAQABACjHuKukfXs/NEOtlUc9SPfX+Ycq2UPW+Fi/W1CG/e1YaYaLwWrqH3mZi5cjUaW2MlUQrV3dFqtOV4wOmqyxphXIv0pHVWzH0hcl4MgI+xDn/Kr9jnxhOGY1NnVCnrJDahnKEmQ+oCmuTzK/xc5A9PtlG6NduUqloZ5SrU/ExnBTwARAQABAAAACmjDpG5hIHJzYTHVl9WXA/4r59xL8K2pJEOBGkK+kJ0fOsjNXrTM9YYtBtmpua1q/OWglpeIJMn+gfJopv4hDCjkrS/6/y6JAbAAezjM9fd6zG/BF9a+DjJHJvIgxKKgBX54aHzc9yWhrp/x6Oq79++SCuLsh7rGC+28laxwheMwBe9kb7y4YIfcE7JeIigaAQH5Acb3E70h6HiFSfMPvg+Tk7RwJsnBdEFDI4lZyj/0/MI2NrmuGcOSN607zOimXWKYtSYJtHBqUh+dKCtMrfC8/wIApld3aVZrg9TfbJXaN7jGxz6dEvXKsyapSgF3Eaq9URK3wBi+7wMCe7hdy59DXCu6+9vVz0tdI1Unhk0fJ9Tu4QIA+wr4EMNnHVyn3+hmrkVMqdIoj5kOunj6oEzOsTpShM4ycq8Hh0NkScTav+84YOX+N/yQ49b8Ry/5tkPf/5ymLwAAAAA=',
  'base64',
)
/** `puttygen s1 -p`. */
const LINE =
  '1024 65537 114547213348570186100720237961154301324338582338320693779030921348085481827684732042673518479553427559938437196949300348042557389347413404556103107845165063444155666410493365615352316303785866816393074727107769131102357155048863717044975548586449512199366210999500333381595586408428881036655983499121715167567 häna rsa1'
/** `puttygen s1 -l`, of the fingerprint. */
const MD5 = 'MD5:5b:08:2d:f5:b6:f7:39:3a:b2:a7:d4:c9:65:ce:03:e0'
/** `puttygen -t rsa1 -b 1024 -C 'rsa1 sealed' --new-passphrase FILE -o s1e`. */
const SEALED = Buffer.from(
  'U1NIIFBSSVZBVEUgS0VZIEZJTEUgRk9STUFUIDEuMQoAAwAAAAAAAAQABADacXyw1gRV/OLbzvQvgiDERDSraNVOxb7jqsRDerrfcfjtEJqCSnCGbPlmuj3M5aGVhHHJ9S1ZBn2+AtqRpDQg0VoDV8bGzozZa+ibJkP9vSkQXzrSy0M69WwkXZ6ajhKiI4/yOkV3nKVZpe8cuhJub8nyLfAamY0eSrNngg2RCQARAQABAAAAC3JzYTEgc2VhbGVknHSzzGbRCMecCAnxu8bT1WChWjNEfPW68jaYu5IzaCoDzkrKTMMuAGrX+Pj8dyVPnHom09MnJBNCE3suHbB10UAE61TPxepnilv616mrbxpQfuR3lZLuGdavNY97Wss2RXn/9cu9SDPs9b+2966nttJThNz6bx5QhexkyscWCnET2S1myIbGfvJlyq+OKqgUC2uTNX7gSn5sDlem3hK3ImnRbLLxg5ejCGke+Z2w/9vs8Rvvckj75CWPNlunp9ymfAIgzHhW/Mt5bE6U+XgcXas9GiSW/h+EbQJbT6HSV+My6IRMDJD6w2HVgCNU6+4zPtibh36a6eBGlm17Ijg4/YXrFouurzudA6U8om+szR/BwVVYJSDmtidpKXMasBNCeK8N4J5GvrmKibd/m3suPYnZfwt2PsTDn9dfpsJJ8RH3wj8QJZd1Gikmb0p4rSIX',
  'base64',
)
const SEALED_MD5 = 'MD5:2b:da:3f:e8:35:39:46:ba:3c:d8:3f:d7:d0:af:95:ae'

const facts = { format: 'ssh1', type: 'rsa1', bits: 1024 }

test('a private file in the clear', async () => {
  expect(isSsh1(PLAIN)).toBe(true)
  expect(inspectSsh1(PLAIN)).toEqual({
    ...facts,
    kind: 'private',
    comment: 'häna rsa1',
    encrypted: false,
    fingerprint: { md5: MD5, sha256: expect.stringMatching(/^SHA256:[A-Za-z0-9+/]{43}$/) },
  })
  expect(await ssh1.inspect(PLAIN)).toEqual({ format: 'ssh1', type: 'rsa1', comment: 'häna rsa1', encrypted: false })
})

test('an encrypted one', async () => {
  const comment = 'rsa1 sealed'
  expect(inspectSsh1(SEALED)).toMatchObject({
    ...facts,
    kind: 'private',
    comment,
    encrypted: true,
    cipher: '3des',
    fingerprint: { md5: SEALED_MD5 },
  })
  expect(await ssh1.inspect(SEALED)).toMatchObject({ encrypted: true, cipher: '3des', kdf: { name: 'md5' }, comment })
})

test('a public line has the same fingerprints as its private file', () => {
  for (const text of [`${LINE}\n`, LINE, `# mine\n\n${LINE}\r\n`]) {
    expect(isSsh1(Buffer.from(text))).toBe(true)
    expect(inspectSsh1(Buffer.from(text))).toEqual({ ...inspectSsh1(PLAIN), kind: 'public' })
  }
  const [bits, e, n] = LINE.split(' ')
  expect(inspectSsh1(Buffer.from(`${bits} ${e} ${n}`))).toMatchObject({ comment: '' })
})

test('both are refused with a reason and a way on', async () => {
  const refusal = { code: 'unsupported', reason: expect.stringContaining('SSH-1 is broken'), hint: expect.any(String) }
  await expect(ssh1.read(PLAIN)).rejects.toMatchObject(refusal)
  await expect(ssh1.read(SEALED, { passphrase: Buffer.from('x') })).rejects.toMatchObject(refusal)
  await expect(ssh1Public.read(Buffer.from(LINE))).rejects.toMatchObject(refusal)
  expect(ssh1.write).toBeUndefined()
})

test.each([
  '',
  '1024',
  '1024 65537 12',
  'ssh-rsa AAAA',
  '{"a":1}',
  '# only a comment\n',
  'SSH PRIVATE KEY FILE FORMAT 1.2\n\0',
])('%j is none of SSH-1', text => {
  expect(isSsh1(Buffer.from(text))).toBe(false)
  expect(() => inspectSsh1(Buffer.from(text))).toThrow(expect.objectContaining({ code: 'damaged' }))
})

test('cut anywhere, a private file is damaged', () => {
  for (const bytes of [PLAIN, SEALED]) {
    for (let cut = 0; cut < bytes.length; cut++) {
      // Behind the comment whole blocks may be missing unseen: nothing is ever done with them.
      const whole = bytes.length - cut
      if (whole % 8 === 0 && cut > 190) continue
      expect(() => inspectSsh1(bytes.subarray(0, cut))).toThrow(expect.objectContaining({ code: 'damaged' }))
    }
  }
})

test('a size that lies is damaged, a cipher nobody knows unsupported', () => {
  expect(() => inspectSsh1(Buffer.from(LINE.replace('1024', '1023')))).toThrow(
    expect.objectContaining({ code: 'damaged' }),
  )
  const spoilt = (at: number, value: number) => {
    const copy = Buffer.from(PLAIN)
    copy[at] = value
    return copy
  }
  expect(() => inspectSsh1(spoilt(33, 9))).toThrow(expect.objectContaining({ code: 'unsupported' }))
  for (const at of [34, 38, 42]) {
    expect(() => inspectSsh1(spoilt(at, 0xff))).toThrow(expect.objectContaining({ code: 'damaged' }))
  }
})

test('any bytes behind the beginning', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), fc.nat(PLAIN.length), (noise, at) => {
      const bytes = Buffer.concat([PLAIN.subarray(0, Math.max(33, at)), noise])
      try {
        expect(inspectSsh1(bytes).kind).toBe('private')
      } catch (error) {
        expect(error).toMatchObject({ name: 'KeytoolError' })
      }
    }),
    { numRuns: 500 },
  )
})

test('numbers of a million digits are not even looked at', () => {
  const start = performance.now()
  expect(isSsh1(Buffer.from(`1024 65537 ${'9'.repeat(1_000_000)}`))).toBe(false)
  expect(isSsh1(Buffer.from(`1024 ${'9'.repeat(4933)} ${'9'.repeat(4933)}`))).toBe(true)
  expect(performance.now() - start).toBeLessThan(500)
})
