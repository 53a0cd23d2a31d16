import fc from 'fast-check'
import { algorithms } from '../src/algorithms/table.js'
import type { KeyFormat } from '../src/formats/format.js'
import { readPublicLines, writePublicLine } from '../src/formats/public-line.js'
import { detectFormat, inspectKeys, keyFormats, readPrivateKey } from '../src/formats/registry.js'
import { generate } from '../src/generate.js'
import type { PrivateKey } from '../src/key.js'
import { ciphers } from '../src/protect/ciphers.js'

const passphrase = Buffer.from('pässwörd 密')
/** Cheap costs: what is tested here is the format, not the price. */
const cheap = { passphrase, rounds: 1, argon2: { memory: 64, passes: 1 } }

const keys = new Map<string, PrivateKey>()
beforeAll(async () => {
  for (const { type } of algorithms) keys.set(type, await generate(type, { comment: 'hana@läptop' }))
})

function keyOf(type: string): PrivateKey {
  const key = keys.get(type)
  if (!key) throw new Error(`no key of type ${type}`)
  return key
}

function expectSame(back: PrivateKey, key: PrivateKey): void {
  expect(back.publicKey.blob).toEqual(key.publicKey.blob)
  expect(back.comment).toBe(key.comment)
  for (const [name, part] of Object.entries(key.parts)) expect(back.parts[name]).toEqual(part)
}

const pairs = keyFormats.flatMap(format => algorithms.map(({ type }) => [format.name, type, format] as const))

describe.each(pairs)('%s, %s', (_name, type, format: KeyFormat) => {
  test('in the clear', async () => {
    const bytes = await format.write(keyOf(type))
    expect(detectFormat(bytes)).toBe(format)
    expectSame(await readPrivateKey(bytes), keyOf(type))
    expect(inspectKeys(bytes)).toMatchObject([{ kind: 'private', format: format.name, encrypted: false }])
    expect(inspectKeys(bytes)[0]?.public?.comment).toBe('hana@läptop')
  })

  test('encrypted', async () => {
    const bytes = await format.write(keyOf(type), cheap)
    expectSame(await readPrivateKey(bytes, { passphrase }), keyOf(type))
    const [facts] = inspectKeys(bytes)
    expect(facts).toMatchObject({
      kind: 'private',
      encrypted: true,
      cipher: expect.any(String),
      kdf: expect.any(Object),
    })
    expect(facts?.public?.equals(keyOf(type).publicKey)).toBe(true)
    await expect(readPrivateKey(bytes)).rejects.toMatchObject({ code: 'secret-needed' })
    await expect(readPrivateKey(bytes, { passphrase: Buffer.from('no') })).rejects.toMatchObject({
      code: 'secret-wrong',
    })
  })

  test('with CRLF line ends', async () => {
    const bytes = Buffer.from((await format.write(keyOf(type))).toString('latin1').replaceAll('\n', '\r\n'), 'latin1')
    expectSame(await readPrivateKey(bytes), keyOf(type))
  })

  test('cut anywhere, it is damaged, with the offset', async () => {
    const bytes = await format.write(keyOf(type), cheap)
    // The very last newline carries nothing.
    const cuts = Array.from({ length: 40 }, (_, i) => Math.floor((i * (bytes.length - 2)) / 39))
    for (const cut of cuts) {
      const error = await readPrivateKey(bytes.subarray(0, cut), { passphrase }).catch(error => error)
      expect(error).toMatchObject({ name: 'KeytoolError', code: 'damaged' })
      if (cut > 0) expect(error.offset).toBeLessThanOrEqual(cut)
    }
  })
})

describe.each(keyFormats.map(format => [format.name, format] as const))('%s, one bit turned', (_name, format) => {
  test.each([true, false])('encrypted: %s: refused, or the same key', async encrypted => {
    const key = keyOf('ed25519')
    const bytes = await format.write(key, encrypted ? cheap : {})
    await fc.assert(
      fc.asyncProperty(fc.nat(bytes.length - 1), fc.nat(7), async (at, bit) => {
        const flipped = Buffer.from(bytes)
        flipped[at] = (flipped[at] ?? 0) ^ (1 << bit)
        const back = await readPrivateKey(flipped, {
          passphrase,
          limits: { argon2Memory: 4096, argon2Work: 1 << 16, bcryptRounds: 64 },
        }).catch(error => {
          expect(error).toMatchObject({ name: 'KeytoolError' })
          return undefined
        })
        // A bit of the armour's white space, or of a comment, may be turned unseen; never a bit of the key.
        if (back) expect(back.publicKey.blob).toEqual(key.publicKey.blob)
      }),
      { numRuns: 150 },
    )
  })
})

describe('OpenSSH', () => {
  test.each(ciphers.map(({ name }) => name))('cipher %s', async cipher => {
    const bytes = await keyFormats[0]?.write(keyOf('ed25519'), { ...cheap, cipher })
    if (!bytes) throw new Error('no format')
    expect(inspectKeys(bytes)).toMatchObject([{ cipher }])
    expectSame(await readPrivateKey(bytes, { passphrase }), keyOf('ed25519'))
    await expect(readPrivateKey(bytes, { passphrase: Buffer.from('no') })).rejects.toMatchObject({
      code: 'secret-wrong',
    })
  })

  test('costs are checked before they are paid', async () => {
    const bytes = await keyFormats[0]?.write(keyOf('ed25519'), { passphrase, rounds: 3 })
    if (!bytes) throw new Error('no format')
    const limits = { argon2Memory: 1, argon2Work: 1, bcryptRounds: 2 }
    await expect(readPrivateKey(bytes, { passphrase, limits })).rejects.toMatchObject({ code: 'unsupported' })
    expect(inspectKeys(bytes)).toMatchObject([{ kdf: { name: 'bcrypt', rounds: 3 } }])
  })
})

describe('PPK', () => {
  const plain = () => keyFormats[1]?.write(keyOf('ed25519'), cheap).then(bytes => bytes.toString('latin1'))

  test.each([
    ['Argon2-Memory: 64', 'Argon2-Memory: 2097152', 'unsupported'],
    ['Argon2-Memory: 64', 'Argon2-Memory: 4294967296', 'unsupported'],
    ['Argon2-Memory: 64', 'Argon2-Memory: 1', 'damaged'],
    ['Argon2-Passes: 1', 'Argon2-Passes: 0', 'damaged'],
    ['Argon2-Passes: 1', 'Argon2-Passes: 2000000000', 'unsupported'],
    ['Argon2-Parallelism: 1', 'Argon2-Parallelism: 100000', 'damaged'],
    ['Argon2id', 'Argon3', 'unsupported'],
    ['Public-Lines: 2', 'Public-Lines: 200000', 'damaged'],
    ['Public-Lines: 2', 'Public-Lines: -2', 'damaged'],
    ['PuTTY-User-Key-File-3: ssh-ed25519', 'PuTTY-User-Key-File-3: ssh-rsa', 'damaged'],
    ['PuTTY-User-Key-File-3', 'PuTTY-User-Key-File-2', 'unsupported'],
    ['PuTTY-User-Key-File-3', 'PuTTY-User-Key-File-9', 'damaged'],
    ['aes256-cbc', 'aes128-cbc', 'unsupported'],
  ])('%s as %s is %s', async (from, to, code) => {
    const text = (await plain())?.replace(from, to) ?? ''
    expect(text).toContain(to)
    await expect(readPrivateKey(Buffer.from(text, 'latin1'), { passphrase })).rejects.toMatchObject({ code })
  })
})

describe('public lines', () => {
  test('are read back, several with comments and blank lines between', () => {
    const all = [...keys.values()].map(({ publicKey }) => publicKey)
    const text = `# mine\n\n${all.map(writePublicLine).join('\r\n  \n')}`
    const back = readPublicLines(Buffer.from(text))
    expect(back.map(({ blob }) => blob)).toEqual(all.map(({ blob }) => blob))
    expect(back.map(({ comment }) => comment)).toEqual(all.map(({ comment }) => comment))
  })

  test.each([
    ['another type than its key', (line: string) => line.replace('ssh-ed25519', 'ssh-rsa')],
    ['a character that is not base64', (line: string) => line.replace('AAAA', 'AA*A')],
    ['a blob cut short', (line: string) => line.slice(0, 40)],
    ['a huge line', (line: string) => `${line.trim()}${'x'.repeat(20_000)}`],
  ])('%s is damaged', (_name, spoil) => {
    const line = spoil(writePublicLine(keyOf('ed25519').publicKey))
    expect(() => readPublicLines(Buffer.from(line))).toThrow(
      expect.objectContaining({ code: 'damaged', offset: expect.any(Number) }),
    )
  })

  test('a comment of several lines is never written', () => {
    const key = keyOf('ed25519').publicKey.withComment('a\nssh-rsa AAAA')
    expect(() => writePublicLine(key)).toThrow(expect.objectContaining({ code: 'usage' }))
  })
})

describe('what is no key', () => {
  test.each([
    ['', 'damaged'],
    ['hello', 'damaged'],
    ['\0\0\0\0', 'damaged'],
    ['-----BEGIN RSA PRIVATE KEY-----\n', 'unsupported'],
    ['-----BEGIN ENCRYPTED PRIVATE KEY-----\n', 'unsupported'],
    ['---- BEGIN SSH2 PUBLIC KEY ----\n', 'unsupported'],
    ['PuTTY-User-Key-File-2: ssh-rsa\n', 'unsupported'],
    ['-----BEGIN OPENSSH PRIVATE KEY-----\n', 'damaged'],
  ])('%j is %s', (text, code) => {
    expect(() => inspectKeys(Buffer.from(text))).toThrow(expect.objectContaining({ code }))
  })
})
