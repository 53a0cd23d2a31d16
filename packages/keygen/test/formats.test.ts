import { algorithms } from '../src/algorithms/table.js'
import type { WritableFormat } from '../src/formats/format.js'
import { optionsLike } from '../src/formats/like.js'
import {
  detectPrivate,
  formatOfOption,
  keyFormats,
  publicFormatOfOption,
  publicFormats,
  readPrivateKey,
  writable,
} from '../src/formats/registry.js'
import { inspectKeys } from '../src/inspect.js'
import type { PrivateKey, PublicKey } from '../src/key.js'
import { type Limits, noLimits } from '../src/protect/caps.js'
import { cheap, heldTypes, pairs, passphrase, sampleFile, sampleKeys, withCrLf } from './altered.js'
import { allTypes, expectSame } from './sample-keys.js'

const COMMENT = 'hana@läptop'

let keyOf: (type: string) => PrivateKey
beforeAll(async () => {
  keyOf = await sampleKeys(COMMENT)
})

describe.each(pairs)('%s, %s', (_name, type, format) => {
  test('in the clear', async () => {
    const sample = await sampleFile(format, keyOf(type))
    const { key, bytes } = sample
    // Nothing else claims it, in whatever order the formats are asked.
    expect([...keyFormats, ...publicFormats].filter(row => row.detect(bytes))).toEqual([format])
    expectSame(await readPrivateKey(bytes), key)
    expectSame(await readPrivateKey(withCrLf(sample).bytes), key)
    const [facts, ...others] = await inspectKeys(bytes)
    expect(others).toEqual([])
    expect(facts).toMatchObject({ kind: 'private', format: format.name, encrypted: false })
    expect(facts).not.toHaveProperty('cipher')
    expect(facts).not.toHaveProperty('kdf')
    const shown = facts?.kind === 'private' ? facts.public : undefined
    expect([shown?.equals(key.publicKey), shown?.comment]).toEqual([true, key.comment])
  })

  test('encrypted, as far as it can be', async () => {
    const [cipher] = format.ciphers
    if (cipher === undefined) {
      await expect(format.write(keyOf(type), { passphrase })).rejects.toMatchObject({ code: 'refused' })
      return
    }
    const sample = await sampleFile(format, keyOf(type), cipher)
    const { key, bytes } = sample
    expect([...keyFormats, ...publicFormats].filter(row => row.detect(bytes))).toEqual([format])
    expectSame(await readPrivateKey(bytes, { passphrase }), key)
    expectSame(await readPrivateKey(withCrLf(sample).bytes, { passphrase }), key)
    const [facts] = await inspectKeys(bytes)
    const kdf = { name: expect.any(String) }
    expect(facts).toMatchObject({ kind: 'private', format: format.name, encrypted: true, cipher, kdf })
    await expect(readPrivateKey(bytes)).rejects.toMatchObject({ code: 'secret-needed' })
    for (const wrong of ['no', '', 'pässwörd']) {
      const refused = readPrivateKey(bytes, { passphrase: Buffer.from(wrong) })
      await expect(refused).rejects.toMatchObject({ code: 'secret-wrong', message: 'wrong passphrase' })
    }
    await expect(format.write(keyOf(type), { passphrase: Buffer.alloc(0) })).rejects.toMatchObject({ code: 'usage' })
    await expect(format.write(keyOf(type), { passphrase, cipher: 'rot13' })).rejects.toMatchObject({
      code: 'unsupported',
    })
  })
})

const each = heldTypes.map(([format, types]) => [format.name, format, types] as const)

describe.each(each)('%s', (_name, format, types) => {
  test('keys of the types it does not hold are not written', async () => {
    for (const type of allTypes.filter(type => !types.includes(type))) {
      await expect(format.write(keyOf(type))).rejects.toMatchObject({ code: 'unsupported' })
    }
  })

  test('a comment of several lines is not written, nor are marks that turn text round', async () => {
    for (const comment of ['a\nb', 'a\r', 'a\0', '\u202ea', 'a\u2028b']) {
      const written = format.write(firstOf(types).withComment(comment))
      if (format.keepsComment) await expect(written).rejects.toMatchObject({ code: 'usage' })
      else expect((await written).includes(comment)).toBe(false)
    }
  })

  test('costs are checked before they are paid, and before a passphrase is asked for', async () => {
    const { tuning = [] } = format
    const nothing = Object.fromEntries(Object.keys(noLimits).map(name => [name, 0])) as unknown as Limits
    for (const kdf of tuning.includes('kdf') ? (['pbkdf2', 'scrypt'] as const) : [undefined]) {
      const bytes = await protectedFile(format, types, kdf)
      if (bytes === undefined) return
      const [facts] = await inspectKeys(bytes)
      expect(facts).toMatchObject({ encrypted: true })
      await expect(readPrivateKey(bytes, { limits: nothing })).rejects.toMatchObject({
        code: tuning.length > 0 ? 'unsupported' : 'secret-needed',
      })
      await expect(readPrivateKey(bytes, { passphrase, limits: noLimits })).resolves.toBeDefined()
    }
  })

  test('what is written like a file is protected like it', async () => {
    for (const cipher of format.ciphers) {
      const { bytes, key } = await sampleFile(format, firstOf(types), cipher)
      const [facts] = await inspectKeys(bytes)
      if (facts?.kind !== 'private' || !('kdf' in facts)) throw new Error('no encrypted key')
      const again = await format.write(key, { ...optionsLike(facts, format), passphrase })
      const [same] = await inspectKeys(again)
      expect(same).toMatchObject({ cipher, kdf: facts.kdf })
    }
  })
})

/** The key of the first of these types. */
function firstOf([type = '']: readonly string[]): PrivateKey {
  return keyOf(type)
}

async function protectedFile(
  format: WritableFormat,
  types: readonly string[],
  kdf: 'pbkdf2' | 'scrypt' | undefined,
): Promise<Buffer | undefined> {
  const [cipher] = format.ciphers
  if (cipher === undefined) return undefined
  // scrypt's costs can't be chosen.
  const options = kdf === 'scrypt' ? { kdf } : cheap
  return (await sampleFile(format, firstOf(types), cipher, options)).bytes
}

const writablePublic = publicFormats.flatMap(format =>
  format.write ? [[format.name, format, format.write] as const] : [],
)

describe.each(writablePublic)('public keys in %s', (name, format, write) => {
  test.each(allTypes)('%s', async type => {
    const { publicKey } = keyOf(type)
    const bytes = writeOrNot(write, publicKey)
    if (!bytes) return
    expect(publicFormats.find(row => row.detect(bytes))).toBe(format)
    expect(keyFormats.filter(row => row.detect(bytes))).toEqual([])
    expect(() => detectPrivate(bytes)).toThrow(
      expect.objectContaining({ code: 'unsupported', message: expect.stringContaining('public key') }),
    )
    const found = await inspectKeys(bytes)
    for (const one of found) expect(one.format).toBe(name)
    if (found[0]?.kind !== 'public') return
    expect(found).toHaveLength(1)
    const [back, ...others] = await format.read(bytes)
    expect(others).toEqual([])
    expect(back?.blob).toEqual(publicKey.blob)
    // A format has a place for comments, or it has none.
    expect(['', COMMENT]).toContain(back?.comment)
    const [same] = await format.read(Buffer.from(bytes.toString('latin1').replaceAll('\n', '\r\n'), 'latin1'))
    expect(same?.blob).toEqual(publicKey.blob)
  })
})

/** `undefined` for a type that the format has no place for, said so. */
function writeOrNot(write: (key: PublicKey) => Buffer, key: PublicKey): Buffer | undefined {
  try {
    return write(key)
  } catch (error) {
    expect(error).toMatchObject({ code: 'unsupported' })
    return undefined
  }
}

describe('the registry', () => {
  test('no two formats have the same name, nor the same option', () => {
    for (const formats of [keyFormats, publicFormats]) {
      const names = formats.map(({ name }) => name)
      expect(new Set(names).size).toBe(names.length)
    }
    const options = keyFormats.flatMap(({ option = [] }) => option)
    expect(new Set(options).size).toBe(options.length)
  })

  test('every type has a format that holds it, with a comment and encrypted', () => {
    for (const { type } of algorithms) {
      const formats = heldTypes.filter(([, types]) => types.includes(type)).map(([format]) => format)
      expect(formats.some(({ keepsComment, ciphers }) => keepsComment && ciphers.length > 0)).toBe(true)
    }
  })

  test('options name formats; what they do not know is named with what they know', () => {
    for (const [format] of heldTypes) expect(formatOfOption(format.option)).toBe(format)
    for (const [name, format] of writablePublic) expect(publicFormatOfOption(name)).toBe(format)
    for (const find of [formatOfOption, publicFormatOfOption]) {
      for (const name of ['', 'ppk1', 'constructor', 'OPENSSH']) {
        expect(() => find(name)).toThrow(
          expect.objectContaining({ code: 'usage', hint: expect.stringContaining('openssh') }),
        )
      }
    }
  })

  test('what is only read is not written', () => {
    for (const format of keyFormats.filter(({ write }) => !write)) {
      expect(() => writable(format)).toThrow(expect.objectContaining({ code: 'unsupported' }))
    }
  })
})

describe('what is no key', () => {
  const outer = (name: string) => `-----BEGIN ${name}-----\n`

  test.each([
    ['', 'damaged'],
    ['\n', 'damaged'],
    ['hello', 'damaged'],
    ['\0\0\0\0', 'damaged'],
    ['{}', 'damaged'],
    ['-----BEGIN', 'damaged'],
    [outer('OPENSSH PRIVATE KEY'), 'damaged'],
    [outer('RSA PRIVATE KEY'), 'damaged'],
    [outer('ENCRYPTED PRIVATE KEY'), 'damaged'],
    [outer('PUBLIC KEY'), 'damaged'],
    ['---- BEGIN SSH2 PUBLIC KEY ----\n', 'damaged'],
    ['---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----\n', 'damaged'],
    ['PuTTY-User-Key-File-2: ssh-rsa\n', 'damaged'],
    ['PuTTY-User-Key-File-4: ssh-rsa\n', 'unsupported'],
    ['SSH PRIVATE KEY FILE FORMAT 1.1\n\0', 'damaged'],
    ['SSHKRL\n\0', 'damaged'],
    [`${outer('PGP PRIVATE KEY BLOCK')}\n`, 'damaged'],
  ])('%j is %s', async (text, code) => {
    const bytes = Buffer.from(text)
    await expect(inspectKeys(bytes)).rejects.toMatchObject({ name: 'KeytoolError', code })
    const error = await readPrivateKey(bytes).catch(error => error)
    expect([error.name, ['damaged', 'unsupported'].includes(error.code)]).toEqual(['KeytoolError', true])
  })
})
