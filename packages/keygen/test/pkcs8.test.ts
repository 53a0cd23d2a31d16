import { createHash, createPrivateKey } from 'node:crypto'
import { jest } from '@jest/globals'
import {
  bitString,
  bmpString,
  count,
  nothing,
  octetString,
  oid,
  sequence,
  setOf,
  tagged,
  taggedSetOf,
} from '../src/der.js'
import { readPem, writePem } from '../src/formats/pem/armor.js'
import { pkcs8 } from '../src/formats/pkcs8/pkcs8.js'
import type { PrivateKey } from '../src/key.js'
import { sealPbes2 } from '../src/protect/pbe-pbes2.js'
import { expectSame, sampleSet } from './sample-keys.js'

jest.setTimeout(120_000)

const types = ['ed25519', 'ed448', 'ecdsa-256', 'ecdsa-384', 'ecdsa-521', 'rsa', 'dsa']
const passphrase = Buffer.from('pässwörd 密')
const COMMENT = 'hana@läptop 🔑'
/** The format is tested here, not the price. */
const cheap = { passphrase, rounds: 1 }
const FRIENDLY_NAME = '2a864886f70d010914'
const LOCAL_KEY_ID = '2a864886f70d010915'

let keyOf: (type: string) => PrivateKey
beforeAll(async () => {
  keyOf = await sampleSet(types, COMMENT)
})

const read = (bytes: Buffer) => pkcs8.read(bytes, { passphrase })

describe.each(types)('%s', type => {
  test('in the clear', async () => {
    const bytes = await pkcs8.write(keyOf(type))
    expect(pkcs8.detect(bytes)).toBe(true)
    expectSame(await pkcs8.read(bytes), keyOf(type))
    const facts = await pkcs8.inspect(bytes)
    expect(facts).toMatchObject({ format: 'pkcs8', encrypted: false })
    expect(facts.public?.blob).toEqual(keyOf(type).publicKey.blob)
    expect(facts.public?.comment).toBe(COMMENT)
  })

  test.each(pkcs8.ciphers)('encrypted with %s', async cipher => {
    const bytes = await pkcs8.write(keyOf(type), { passphrase, cipher, rounds: 3 })
    expectSame(await read(bytes), keyOf(type))
    const kdf = { name: 'pbkdf2-sha256', rounds: 3 }
    expect(await pkcs8.inspect(bytes)).toEqual({ format: 'pkcs8', encrypted: true, cipher, kdf })
    await expect(pkcs8.read(bytes)).rejects.toMatchObject({ code: 'secret-needed' })
  })

  test('OpenSSL opens it, and we what OpenSSL writes', async () => {
    const pem = (await pkcs8.write(keyOf(type), cheap)).toString()
    const key = createPrivateKey({ key: pem, passphrase })
    const written = key.export({
      format: 'pem',
      type: 'pkcs8',
      cipher: 'aes-192-cbc',
      passphrase: passphrase.toString(),
    })
    const back = await read(Buffer.from(written))
    expectSame(back, keyOf(type).withComment(''))
    expect((await pkcs8.inspect(Buffer.from(written))).cipher).toBe('aes192-cbc')
  })

  test('cut anywhere, it is damaged, with the offset', async () => {
    for (const bytes of [await pkcs8.write(keyOf(type), cheap), await pkcs8.write(keyOf(type))]) {
      for (let cut = 0; cut < bytes.length - 1; cut += 11) {
        const error = await read(bytes.subarray(0, cut)).catch(error => error)
        expect(error).toMatchObject({ name: 'KeytoolError', code: 'damaged' })
        expect(error.offset).toBeLessThanOrEqual(cut)
      }
    }
  })
})

/** What a bit turned in the ciphertext of CBC does to the plain text: this block becomes noise, the next one loses a bit. */

describe('attributes', () => {
  const ID = '2b6570'
  const attribute = (id: string, ...values: Uint8Array[]) => sequence(oid(id), setOf(...values))
  const name = (text: string) => attribute(FRIENDLY_NAME, bmpString(Buffer.from(text, 'utf16le').swap16()))
  const body = (...attributes: Uint8Array[]) => {
    const seed = keyOf('ed25519').parts['seed'] ?? Buffer.alloc(0)
    const set = attributes.length > 0 ? [taggedSetOf(0, ...attributes)] : []
    return sequence(count(0), sequence(oid(ID)), octetString(octetString(seed)), ...set)
  }
  const plain = (...attributes: Uint8Array[]) => pkcs8.read(writePem('PRIVATE KEY', body(...attributes)))
  const sealed = async (...attributes: Uint8Array[]) => read(await encrypted(body(...attributes)))

  test('without a comment, what is in the clear has none', async () => {
    const bytes = await pkcs8.write(keyOf('ed25519').withComment(''))
    expect(bodyOf(bytes)).toEqual(body())
  })

  test('without a comment, the digest is the fingerprint', async () => {
    const blob = keyOf('ed25519').publicKey.blob
    const digest = createHash('sha256').update(blob).digest()
    expect((await sealed(attribute(LOCAL_KEY_ID, octetString(digest)))).comment).toBe('')
    digest[31] = (digest[31] ?? 0) ^ 1
    await expect(sealed(attribute(LOCAL_KEY_ID, octetString(digest)))).rejects.toMatchObject({ code: 'damaged' })
    await expect(plain(attribute(LOCAL_KEY_ID, octetString(digest)))).rejects.toMatchObject({ code: 'damaged' })
  })

  test.each([
    [
      'of OpenSSL: a SHA-1 and a name',
      [attribute(LOCAL_KEY_ID, octetString(Buffer.alloc(20, 7))), name('mine')],
      'mine',
    ],
    [
      'of Windows',
      [attribute('2b0601040182371101', bmpString(Buffer.from('\0M\0S'))), attribute('2b0601040182371102', nothing())],
      '',
    ],
    ['of Windows: keyUsage', [attribute('551d0f', bitString(Buffer.of(0x80)))], ''],
    ['of Java', [attribute(LOCAL_KEY_ID, octetString(Buffer.from('Time 1700000000000'))), name('mykey')], 'mykey'],
  ])('%s', async (_name, attributes, comment) => {
    expect((await plain(...attributes)).comment).toBe(comment)
    expect((await sealed(...attributes)).comment).toBe(comment)
  })

  test('an unknown one is passed over in the clear, and shows damage where that was encrypted', async () => {
    const unknown = attribute('2a864886f70d010911', octetString(Buffer.alloc(32)))
    expect((await plain(unknown)).publicKey.equals(keyOf('ed25519').publicKey)).toBe(true)
    await expect(sealed(unknown)).rejects.toMatchObject({ code: 'secret-wrong', reason: 'or the file was altered' })
  })

  test.each([
    ['the same twice', [name('a'), name('b')]],
    ['two values', [attribute(FRIENDLY_NAME, bmpString(Buffer.alloc(2)), bmpString(Buffer.alloc(4)))]],
    ['no value', [attribute(FRIENDLY_NAME)]],
    ['a name that is no BMPString', [attribute(FRIENDLY_NAME, octetString(Buffer.from('name')))]],
    ['a name of half a character', [attribute(FRIENDLY_NAME, bmpString(Buffer.alloc(3)))]],
    ['a name with half a pair', [attribute(FRIENDLY_NAME, bmpString(Buffer.of(0xd8, 0x3d)))]],
    [
      'seventeen',
      Array.from({ length: 17 }, (_, i) => attribute(`2a${(i + 1).toString(16).padStart(2, '0')}`, nothing())),
    ],
  ])('%s: damaged', async (_name, attributes) => {
    await expect(plain(...attributes)).rejects.toMatchObject({ code: 'damaged' })
  })

  test('a comment of several lines is never written', async () => {
    await expect(pkcs8.write(keyOf('rsa').withComment('a\nb'))).rejects.toMatchObject({ code: 'usage' })
  })
})

describe('version 2', () => {
  const file = (version: number, ...more: Uint8Array[]) => {
    const seed = keyOf('ed25519').parts['seed'] ?? Buffer.alloc(0)
    return writePem(
      'PRIVATE KEY',
      sequence(count(version), sequence(oid('2b6570')), octetString(octetString(seed)), ...more),
    )
  }
  const bits = () => bitString(keyOf('ed25519').parts['pk'] ?? Buffer.alloc(0))
  /** `[1] IMPLICIT`. */
  const implicit = (value: Buffer) => {
    value[0] = 0x81
    return value
  }

  test('with its public key, as RFC 5958 has it and as the ring library had it', async () => {
    for (const shown of [implicit(bits()), tagged(1, bits())]) {
      expect((await pkcs8.read(file(1, shown))).publicKey.blob).toEqual(keyOf('ed25519').publicKey.blob)
    }
  })

  test.each([
    ['another public key', () => file(1, implicit(bitString(Buffer.alloc(32, 9))))],
    ['a public key cut short', () => file(1, implicit(bitString(Buffer.alloc(31, 9))))],
    ['no public key', () => file(1)],
    ['two', () => file(1, implicit(bits()), implicit(bits()))],
    ['the public key in version 1', () => file(0, implicit(bits()))],
    ['version 3', () => file(2)],
    ['an empty set of attributes, and more', () => file(0, taggedSetOf(0), nothing())],
  ])('%s is damaged', async (_name, make) => {
    await expect(pkcs8.read(make())).rejects.toMatchObject({ code: 'damaged' })
  })
})

test('with scrypt', async () => {
  const bytes = await pkcs8.write(keyOf('ed25519'), { passphrase, kdf: 'scrypt' })
  expectSame(await read(bytes), keyOf('ed25519'))
  const kdf = { name: 'scrypt', memory: 16384, parallelism: 5 }
  expect(await pkcs8.inspect(bytes)).toEqual({ format: 'pkcs8', encrypted: true, cipher: 'aes256-cbc', kdf })
  await expect(pkcs8.read(bytes, { passphrase: Buffer.from('no') })).rejects.toMatchObject({ code: 'secret-wrong' })
})

/** What a plain file holds. */
function bodyOf(bytes: Buffer): Buffer {
  return readPem(bytes, ['PRIVATE KEY'])[0]?.body ?? Buffer.alloc(0)
}

/** Any bytes as if they were a key. */
async function encrypted(plain: Buffer): Promise<Buffer> {
  const { identifier, sealed } = await sealPbes2(plain, passphrase, { rounds: 1 })
  return writePem('ENCRYPTED PRIVATE KEY', sequence(identifier, octetString(sealed)))
}
