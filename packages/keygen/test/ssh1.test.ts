import { inspectSsh1, isSsh1, ssh1, ssh1Public } from '../src/formats/ssh1.js'
import { effortOf } from './effort.js'
import { PLAIN, SEALED } from './ssh1-files.js'

/** `puttygen s1 -p`. */
const LINE =
  '1024 65537 114547213348570186100720237961154301324338582338320693779030921348085481827684732042673518479553427559938437196949300348042557389347413404556103107845165063444155666410493365615352316303785866816393074727107769131102357155048863717044975548586449512199366210999500333381595586408428881036655983499121715167567 häna rsa1'
/** `puttygen s1 -l`, of the fingerprint. */
const MD5 = 'MD5:5b:08:2d:f5:b6:f7:39:3a:b2:a7:d4:c9:65:ce:03:e0'
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

test('numbers of a million digits are not even looked at', async () => {
  const effort = await effortOf(() => {
    expect(isSsh1(Buffer.from(`1024 65537 ${'9'.repeat(1_000_000)}`))).toBe(false)
    expect(isSsh1(Buffer.from(`1024 ${'9'.repeat(4933)} ${'9'.repeat(4933)}`))).toBe(true)
  })
  expect(effort).toBeLessThan(500)
})
