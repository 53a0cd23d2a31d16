import { readArmor, writeArmor } from '../src/formats/armor.js'
import { writePublicLine } from '../src/formats/lines/public.js'
import { openssh } from '../src/formats/openssh.js'
import type { PrivateKey } from '../src/key.js'
import { ciphers } from '../src/protect/ciphers.js'
import { Reader, Writer } from '../src/wire.js'
import { allTypes, sampleKey } from './sample-keys.js'

/** `puttygen -t ed448 -C 'c ed448ed448'`, then `-O private-openssh-new`, PuTTY 0.78. */
const PUTTY_FILE = `-----BEGIN OPENSSH PRIVATE KEY-----
b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAASgAAAAlz
c2gtZWQ0NDgAAAA5IVKpfs2yrnyWORSIlFRhmNYd0tad1YbU8Exu8h23UsQrKh49
K0hZ/BlfqBM0O6Ui2WmwqYlXMLqAAAAA4I4DNu2OAzbtAAAACXNzaC1lZDQ0OAAA
ADkhUql+zbKufJY5FIiUVGGY1h3S1p3VhtTwTG7yHbdSxCsqHj0rSFn8GV+oEzQ7
pSLZabCpiVcwuoAAAABymV78r65fikE3yRI5tFD2VkBOSkA1ptH7JLhK4IOmVwU/
mKLnEKFmst2KiiBXjz/+ja6j06a8m/gAIVKpfs2yrnyWORSIlFRhmNYd0tad1YbU
8Exu8h23UsQrKh49K0hZ/BlfqBM0O6Ui2WmwqYlXMLqAAAAADGMgZWQ0NDhlZDQ0
OAECAwQFBgcI
-----END OPENSSH PRIVATE KEY-----`
const PUTTY_PUBLIC =
  'ssh-ed448 AAAACXNzaC1lZDQ0OAAAADkhUql+zbKufJY5FIiUVGGY1h3S1p3VhtTwTG7yHbdSxCsqHj0rSFn8GV+oEzQ7pSLZabCpiVcwuoA= c ed448ed448'

const LABEL = 'OPENSSH PRIVATE KEY'
const passphrase = Buffer.from('pässwörd 密')
const sealed = { passphrase, rounds: 1 }
const keys = new Map<string, PrivateKey>()

beforeAll(async () => {
  for (const type of allTypes) keys.set(type, await sampleKey(type, 'hana@läptop'))
})

function keyOf(type: string): PrivateKey {
  const key = keys.get(type)
  if (!key) throw new Error(`no key of type ${type}`)
  return key
}

/** The outer layout, so that one field of it can be another. */
interface Envelope {
  cipher: string
  kdf: string
  options: Buffer
  count: number
  publicKey: Buffer
  section: Buffer
  tail: Buffer
}

async function change(bytes: Buffer, edit: (envelope: Envelope) => Partial<Envelope>): Promise<Buffer> {
  const reader = new Reader(readArmor(bytes, LABEL))
  const magic = reader.bytes(15)
  const envelope: Envelope = {
    cipher: reader.text(),
    kdf: reader.text(),
    options: reader.string(),
    count: reader.uint32(),
    publicKey: reader.string(),
    section: reader.string(),
    tail: reader.rest(),
  }
  const { cipher, kdf, options, count, publicKey, section, tail } = { ...envelope, ...edit(envelope) }
  const writer = new Writer().bytes(magic).text(cipher).text(kdf).string(options).uint32(count)
  return writeArmor(writer.string(publicKey).string(section).bytes(tail).done(), LABEL)
}

describe.each(allTypes)('%s', type => {
  test('in the clear: every part comes back', async () => {
    const bytes = await openssh.write(keyOf(type))
    expect(openssh.detect(bytes)).toBe(true)
    const back = await openssh.read(bytes)
    expect(back.parts).toEqual(keyOf(type).parts)
    expect(back.comment).toBe('hana@läptop')
    const facts = await openssh.inspect(bytes)
    expect(facts).toMatchObject({ format: 'openssh', encrypted: false })
    expect(facts.public?.comment).toBe('hana@läptop')
    // The file's own bytes are left as they were.
    expect((await openssh.read(bytes)).parts).toEqual(keyOf(type).parts)
  })

  test.each(ciphers.map(({ name }) => name))('%s', async cipher => {
    const bytes = await openssh.write(keyOf(type), { ...sealed, cipher })
    expect((await openssh.read(bytes, { passphrase })).parts).toEqual(keyOf(type).parts)
    const facts = await openssh.inspect(bytes)
    expect(facts).toMatchObject({ encrypted: true, cipher, kdf: { name: 'bcrypt', rounds: 1 } })
    expect(facts.public?.equals(keyOf(type).publicKey)).toBe(true)
    expect(facts.public?.parts).toEqual(keyOf(type).publicKey.parts)
    await expect(openssh.read(bytes)).rejects.toMatchObject({ code: 'secret-needed' })
    await expect(openssh.read(bytes, { passphrase: Buffer.from('no') })).rejects.toMatchObject({
      code: 'secret-wrong',
      message: 'wrong passphrase',
    })
  })
})

test('cut anywhere, it is damaged, with the offset', async () => {
  for (const options of [{}, sealed]) {
    const bytes = await openssh.write(keyOf('ecdsa-256'), options)
    // The very last newline carries nothing.
    for (let cut = 40; cut < bytes.length - 1; cut += 7) {
      const error = await openssh.read(bytes.subarray(0, cut), { passphrase }).catch(error => error)
      expect(error).toMatchObject({ name: 'KeytoolError', code: 'damaged' })
      expect(error.offset).toBeLessThanOrEqual(cut)
    }
  }
})

describe('what other programs wrote', () => {
  test("PuTTY's, of a type that OpenSSH does not have, and with padding where none is needed", async () => {
    const key = await openssh.read(Buffer.from(PUTTY_FILE))
    expect(writePublicLine(key.publicKey)).toBe(`${PUTTY_PUBLIC}\n`)
  })

  test('the old name of aes256-cbc', async () => {
    const bytes = await openssh.write(keyOf('ed25519'), { ...sealed, cipher: 'aes256-cbc' })
    const old = await change(bytes, () => ({ cipher: 'rijndael-cbc@lysator.liu.se' }))
    expect((await openssh.read(old, { passphrase })).parts).toEqual(keyOf('ed25519').parts)
    expect(await openssh.inspect(old)).toMatchObject({ cipher: 'rijndael-cbc@lysator.liu.se' })
  })

  test('a cipher that was given up: named, and no secret is asked for; the public facts are shown', async () => {
    const old = await change(await openssh.write(keyOf('rsa'), sealed), () => ({ cipher: 'blowfish-cbc' }))
    await expect(openssh.read(old)).rejects.toMatchObject({
      code: 'unsupported',
      message: expect.stringContaining('blowfish-cbc'),
      hint: expect.any(String),
    })
    const facts = await openssh.inspect(old)
    expect(facts).toMatchObject({ cipher: 'blowfish-cbc', encrypted: true })
    expect(facts.public?.equals(keyOf('rsa').publicKey)).toBe(true)
  })
})

describe('armour', () => {
  const text = async () => (await openssh.write(keyOf('ed25519'))).toString('latin1')
  const read = (content: string) => openssh.read(Buffer.from(content, 'latin1'))

  test('lines are 70 characters wide', async () => {
    const lines = (await text()).trimEnd().split('\n').slice(1, -1)
    expect(lines.length).toBeGreaterThan(2)
    expect(lines.slice(0, -1).every(line => line.length === 70)).toBe(true)
  })

  test.each([
    [
      'lines of 64',
      (of: string) =>
        of
          .replace(/^(?!-)(.*)$/gm, '$1')
          .replace(/(?<!-)\n(?!-)/g, '')
          .replace(/[A-Za-z0-9+/=]{64}/g, '$&\n'),
    ],
    ['one line', (of: string) => of.replace(/(?<!-)\n(?!-)/g, '')],
    ['CR LF', (of: string) => of.replaceAll('\n', '\r\n')],
    ['blanks around', (of: string) => ` \t\n\r\n${of}\n \t\n`],
    ['blanks at line ends', (of: string) => of.replaceAll('\n', ' \t\n')],
    ['no last newline', (of: string) => of.trimEnd()],
  ])('%s: read', async (_name, edit) => {
    expect((await read(edit(await text()))).parts).toEqual(keyOf('ed25519').parts)
  })

  test.each([
    ['text before', (of: string) => `key:\n${of}`],
    ['text after', (of: string) => `${of}more`],
    ['a second key after', (of: string) => of + of],
    ['a vertical tab', (of: string) => of.replace('\n', '\v\n')],
    ['a form feed between', (of: string) => of.replace(/\n(?!-)/, '\n\f')],
    ['a blank that is none', (of: string) => of.replace(/\n(?!-)/, '\n\xa0')],
    ['base64 on the first line', (of: string) => of.replace('-----\n', '-----')],
    ['the end in the middle of a line', (of: string) => of.replace('\n-----END', '-----END')],
    ['another end', (of: string) => of.replace('END OPENSSH', 'END RSA')],
    ['padding that is missing', (of: string) => of.replace(/=*\n-/, '\n-').replace(/.\n-/, '\n-')],
    ['a header', (of: string) => of.replace('\n', '\nProc-Type: 4,ENCRYPTED\n\n')],
    ['a NUL byte', (of: string) => `${of}\0`],
  ])('%s: damaged', async (_name, edit) => {
    await expect(read(edit(await text()))).rejects.toMatchObject({ code: 'damaged' })
  })
})

describe('what contradicts itself', () => {
  test.each<[string, string, (envelope: Envelope) => Partial<Envelope>]>([
    ['no key', 'unsupported', () => ({ count: 0 })],
    ['two keys', 'unsupported', () => ({ count: 2 })],
    ['a cipher without a KDF', 'damaged', () => ({ cipher: 'aes256-ctr' })],
    ['a KDF without a cipher', 'damaged', () => ({ kdf: 'bcrypt' })],
    ['options of no KDF', 'damaged', () => ({ options: Buffer.of(0) })],
    ['trailing data', 'damaged', () => ({ tail: Buffer.of(0) })],
    ['another public key', 'damaged', () => ({ publicKey: keyOf('ecdsa-256').publicKey.blob })],
    ['no private part', 'damaged', () => ({ section: Buffer.alloc(0) })],
    ['half a block more', 'damaged', ({ section }) => ({ section: Buffer.concat([section, Buffer.of(1, 2, 3, 4)]) })],
    ['check numbers that differ', 'damaged', ({ section }) => ({ section: flip(section, 0) })],
    ['padding that is none', 'damaged', ({ section }) => ({ section: flip(section, section.length - 1) })],
    [
      'more padding than any program writes',
      'damaged',
      ({ section }) => {
        const count = [...section].reverse().findIndex((byte, i, all) => byte !== (all[0] ?? 0) - i)
        return { section: Buffer.concat([section, Uint8Array.from({ length: 16 }, (_, i) => count + i + 1)]) }
      },
    ],
  ])('%s: %s', async (_name, code, edit) => {
    // A comment that leaves padding to alter, and does not end like it.
    const bytes = await change(await openssh.write(keyOf('ed25519').withComment('xyz')), edit)
    await expect(openssh.read(bytes)).rejects.toMatchObject({ code })
    await expect(openssh.inspect(bytes)).rejects.toMatchObject({ code })
  })

  test('an empty salt, no round, too many rounds, a KDF that nobody has', async () => {
    const bytes = await openssh.write(keyOf('ed25519'), sealed)
    const withOptions = (salt: Buffer, rounds: number) =>
      change(bytes, () => ({ options: new Writer().string(salt).uint32(rounds).done() }))
    const read = async (file: Promise<Buffer>) => openssh.read(await file, { passphrase })
    const salt = Buffer.alloc(16)
    await expect(read(withOptions(Buffer.alloc(0), 1))).rejects.toMatchObject({ code: 'damaged' })
    await expect(read(withOptions(Buffer.alloc(2000), 1))).rejects.toMatchObject({ code: 'damaged' })
    await expect(read(withOptions(salt, 0))).rejects.toMatchObject({ code: 'damaged' })
    await expect(read(withOptions(salt, 0xffffffff))).rejects.toMatchObject({ code: 'unsupported' })
    await expect(read(change(bytes, () => ({ kdf: 'scrypt' })))).rejects.toMatchObject({ code: 'unsupported' })
    expect(await openssh.inspect(await withOptions(salt, 0xffffffff))).toMatchObject({ kdf: { rounds: 0xffffffff } })
  })

  test('a private part of another type than the public key', async () => {
    const other = new Reader(readArmor(await openssh.write(keyOf('ecdsa-384')), LABEL))
    other.bytes(15 + 8 + 8 + 4 + 4)
    other.string()
    const section = other.string()
    const bytes = await change(await openssh.write(keyOf('ecdsa-256')), () => ({ section }))
    await expect(openssh.read(bytes)).rejects.toMatchObject({ code: 'damaged', offset: expect.any(Number) })
  })
})

test('what a caller can ask for wrongly', async () => {
  const key = keyOf('ed25519')
  for (const rounds of [0, -1, 1.5, 1 << 20, Number.NaN]) {
    await expect(openssh.write(key, { passphrase, rounds })).rejects.toMatchObject({ code: 'usage' })
  }
  await expect(openssh.write(key, { passphrase: Buffer.alloc(0) })).rejects.toMatchObject({ code: 'usage' })
  await expect(openssh.write(key, { ...sealed, cipher: 'arcfour' })).rejects.toMatchObject({ code: 'unsupported' })
  await expect(openssh.write(key.withComment('a\nb'))).rejects.toMatchObject({ code: 'usage' })
})

function flip(bytes: Buffer, at: number): Buffer {
  const flipped = Buffer.from(bytes)
  flipped[at] = (flipped[at] ?? 0) ^ 0x40
  return flipped
}
