import fc from 'fast-check'
import { sshcom } from '../src/formats/sshcom/sshcom.js'
import type { PrivateKey } from '../src/key.js'
import { effortOf } from './effort.js'
import { allTypes, expectSame, sampleSet } from './sample-keys.js'
import { LINE, lineOf, outcome, PLAIN, passphrase, SEALED } from './sshcom-files.js'

const COMMENT = 'häna "at" läptop\\, with a comment so long that it takes two lines'
/** `ssh-keygen -t dsa -C hana@dsa -f vd; puttygen vd -O private-sshcom --new-passphrase FILE`. */
const SEALED_DSA = `---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----
Comment: "hana@dsa"
P2/56wAAAgoAAAAmZGwtbW9kcHtzaWdue2RzYS1uaXN0LXNoYTF9LGRoe3BsYWlufX0AAA
AIM2Rlcy1jYmMAAAHIkXffxqZfTPfYGXHV1vxexnsyAmb0ubnhCtXpo0bfsXjF5bdr/lNF
Czs+0TMzb1+ezH2CpgbRnTLjJNx7o/dkqpaHcYprdOIb/uDxXyJyE0duzDSbWcL/kmnoyB
jMggrbRpKH2f3F+SWToKWDjINvPnlCKbsL48h7R4eSyRHeZQ+9B9LtOYNC+u7WUnkWpu+T
NBzp5RgKjhJua3u1h0ZUNwuqm/z3GITn1Wa4/pbfkNkaqOVmDbiHEKldTfNlIpow4w/rqL
pdpl3fLsU/h5BsA1aq6I1680sK9SYbWVQ5VvunG2kpvUJA9s5WCQ89IeZzZ4s0eXVX3jUE
ddNt0myyDu2cQBdfOJI46uXkc+f5fLCMLYNbVrP0I+pnM5SuoCHoGFR7goI7LinOIOUbLB
1SOv4g3/RjRCXmE0Ro1gMuznZqKeiRQb3lec/GiNRQb7+MxzaXu7KpskpgCzer8iBH5kzT
7N6c98f3BSDUbsVJ2KOsIlt4muvyAWM7qc5xbup8YFSXTPl3BbtiF8SlsZLSAJuq9W+i4y
UTs0Uq2nRzHBj8P/rLnwfBaam4ptQ9EcL26YIFZzRD7+YWScL3KPGtaBJhSpG/wG+q
---- END SSH2 ENCRYPTED PRIVATE KEY ----
`
const DSA_LINE =
  'ssh-dss AAAAB3NzaC1kc3MAAACBAMnUZ1fmkf9vR1IwEuRC11dxmco0SJ407rcIF2Gse/syyWX5mo0/h85iVxggYRHjoP0v8lCLWHuKYCN3M1u9FAEV5sHT9m6ianTjpJHb26ms/8vD/DTeLOQlP4QwJS6vrzqnL5vGfrKs1dv9hvb7jArHZHZH04E3ywFKzQRucPDBAAAAFQDw5NdVGdPQ38ISwtdLzAgHM7XTUwAAAIBg1lUx/GoWjBs4d0VbliPhHEAxp+upkdTfKlXlY5vjnk2JOHwBkTP4bP5TUiAF00p5Q/qvJv3iZewRmABNsi5/XvFJ/I34Rv7PgLc7OBBOMTen4FeCktV75nkfbz/8/PJmrecje0v5J4oVbOWImK5a/bMZGVfgRh0HB7Cs/3ad9QAAAIB6fNbt4HlNF9QtSQbJXKxb58Ker4WGMiwJmtYEWTjasS0kxuC2bUNsRsGJi1aRGMnR+ftu/amLoIbqyrP3RLRK4AoRgRBMYeDYSo8uqP2j3/ueZRT8nVrRCAHcRau18V2AHd3md6maUjGXVlYlMl77UgyN6KhZr+/PD5LiKmm00w=='

let keyOf: (type: string) => PrivateKey
beforeAll(async () => {
  keyOf = await sampleSet(allTypes, 'hana@läptop')
})

describe('files of PuTTYgen', () => {
  test.each([
    ['in the clear', PLAIN, undefined, LINE, COMMENT],
    ['encrypted', SEALED, passphrase, LINE, COMMENT],
    ['DSA', SEALED_DSA, passphrase, DSA_LINE, 'hana@dsa'],
  ])('%s', async (_name, text, secret, line, comment) => {
    const bytes = Buffer.from(text)
    expect(sshcom.detect(bytes)).toBe(true)
    const key = await sshcom.read(bytes, secret ? { passphrase: secret } : {})
    expect(lineOf(key)).toBe(line)
    expect(key.comment).toBe(comment)
  })

  test('what is written in the clear is the same, byte for byte', async () => {
    const key = await sshcom.read(Buffer.from(SEALED), { passphrase })
    expect((await sshcom.write(key)).toString()).toBe(PLAIN)
  })

  test('what they show without the passphrase', async () => {
    expect(await sshcom.inspect(Buffer.from(SEALED))).toEqual({
      format: 'sshcom',
      encrypted: true,
      cipher: '3des-cbc',
      kdf: { name: 'md5' },
      type: 'ssh-rsa',
      comment: COMMENT,
    })
    expect(await sshcom.inspect(Buffer.from(SEALED_DSA))).toMatchObject({ type: 'ssh-dss', comment: 'hana@dsa' })
    const plain = await sshcom.inspect(Buffer.from(PLAIN))
    expect(plain).toMatchObject({ encrypted: false, comment: COMMENT })
    expect(plain.public && `ssh-rsa ${plain.public.blob.toString('base64')}`).toBe(LINE)
  })

  test('no passphrase, and a wrong one', async () => {
    await expect(sshcom.read(Buffer.from(SEALED))).rejects.toMatchObject({ code: 'secret-needed' })
    for (const wrong of ['', 'passwörd']) {
      await expect(sshcom.read(Buffer.from(SEALED), { passphrase: Buffer.from(wrong) })).rejects.toMatchObject({
        code: 'secret-wrong',
        message: 'wrong passphrase',
        reason: expect.stringContaining('altered'),
      })
    }
  })
})

describe.each(['rsa', 'dsa'])('%s', type => {
  test.each([undefined, passphrase])('round: %s', async secret => {
    const bytes = await sshcom.write(keyOf(type), secret ? { passphrase: secret } : {})
    expectSame(await sshcom.read(bytes, secret ? { passphrase: secret } : {}), keyOf(type))
    expect(await sshcom.inspect(bytes)).toMatchObject({ encrypted: secret !== undefined, comment: 'hana@läptop' })
    const windows = Buffer.from(bytes.toString('latin1').replaceAll('\n', '\r\n'), 'latin1')
    expectSame(await sshcom.read(windows, secret ? { passphrase: secret } : {}), keyOf(type))
  })
})

test.each(allTypes.filter(type => !['rsa', 'dsa'].includes(type)))('%s keys have no place in it', async type => {
  expect(sshcom.holds(keyOf(type).algorithm)).toBe(false)
  await expect(sshcom.write(keyOf(type))).rejects.toMatchObject({
    code: 'unsupported',
    message: `ssh.com files can't hold ${type} keys`,
  })
})

test('other ciphers, and an empty passphrase, are refused', async () => {
  await expect(sshcom.write(keyOf('rsa'), { passphrase, cipher: 'aes256-ctr' })).rejects.toMatchObject({
    code: 'unsupported',
  })
  await expect(sshcom.write(keyOf('rsa'), { passphrase: Buffer.alloc(0) })).rejects.toMatchObject({ code: 'usage' })
})

test('any comment comes back as it was', async () => {
  const rsa = keyOf('rsa')
  const text = fc.string({
    unit: fc.constantFrom('a', ' ', '"', '\\', ': ', 'ä', '鍵', '😀', '----', '\t'),
    maxLength: 200,
  })
  await fc.assert(
    fc.asyncProperty(text, async comment => {
      const back = await sshcom.inspect(await sshcom.write(rsa.withComment(comment), { passphrase }))
      expect(back.comment).toBe(comment)
    }),
    { numRuns: 200 },
  )
})

describe('a file that was altered', () => {
  test.each([
    ['another block after it', (text: string) => text + text, 'damaged'],
    ['text after it', (text: string) => `${text}x`, 'damaged'],
    ['text before it', (text: string) => `x\n${text}`, 'damaged'],
    ['a header twice', (text: string) => text.replace('Comment', 'Comment: "a"\nComment'), 'damaged'],
    ['a header in another case', (text: string) => text.replace('Comment', 'comment'), 'damaged'],
    ['an unknown header', (text: string) => text.replace('Comment', 'Remark: a\nComment'), 'damaged'],
    ['a comment without its last quote', (text: string) => text.replace('o lines"', 'o lines'), 'damaged'],
    ['an endless header', (text: string) => text.replace('häna', `${'x'.repeat(70)}\\\n`.repeat(400)), 'damaged'],
    ['no base64 at all', (text: string) => text.replace(/^P2[^-]*/m, ''), 'damaged'],
    ['a vertical tab', (text: string) => text.replace('P2/', '\vP2/'), 'damaged'],
  ])('%s: %#', async (_name, spoil, code) => {
    expect(await outcome(Buffer.from(spoil(PLAIN)))).toBe(code)
  })

  test('headers that mean nothing are passed over', async () => {
    const text = PLAIN.replace('Comment', 'Subject: hana\nx-made-with: \\\nlove\nComment')
    expect(lineOf(await sshcom.read(Buffer.from(text)))).toBe(LINE)
    const bare = PLAIN.replace(/^Comment.*\n.*"\n/m, '')
    expect((await sshcom.read(Buffer.from(bare))).comment).toBe('')
  })

  test('numbers and lengths that lie', async () => {
    const body = Buffer.from(PLAIN.replace(/^.*[: -].*$/gm, ''), 'base64')
    const rebuilt = (change: (bytes: Buffer) => void) => {
      const copy = Buffer.from(body)
      change(copy)
      return Buffer.from(
        `---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----\n${copy.toString('base64')}\n---- END SSH2 ENCRYPTED PRIVATE KEY ----`,
      )
    }
    expect(lineOf(await sshcom.read(rebuilt(() => {})))).toBe(LINE)
    // Every uint32 of the layout as the largest there is: total, type, cipher, sealed part, payload, first number.
    for (const at of [4, 8, 67, 75, 79, 83]) {
      expect(await outcome(rebuilt(bytes => void bytes.writeUInt32BE(0xffffffff, at)))).toBe('damaged')
    }
    expect(await outcome(rebuilt(bytes => void bytes.write('if-modn{sign{rsa-pkcs1-sha2}', 12)))).toBe('unsupported')
    expect(await outcome(rebuilt(bytes => void bytes.write('nine', 71)))).toBe('unsupported')
  })

  test('huge files are refused at once', async () => {
    for (const filler of ['A'.repeat(1 << 22), '\n'.repeat(1 << 22), 'x-a: b\\\n'.repeat(1 << 19)]) {
      const text = `---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----\n${filler}`
      const refused = async () => expect(await outcome(Buffer.from(text))).toBe('damaged')
      expect(await effortOf(refused)).toBeLessThan(1000)
    }
  })
})
