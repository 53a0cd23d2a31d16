import { generateKeyPairSync } from 'node:crypto'
import { bitString, count, oid, sequence, setOf, tagged } from '../src/der.js'
import { dnskey } from '../src/formats/foreign/dnskey.js'
import { x509 } from '../src/formats/foreign/x509.js'
import { spki } from '../src/formats/pem/spki.js'
import type { PublicKey } from '../src/key.js'
import { sampleKey } from './sample-keys.js'
import { ED25519, P256, P256_LINE } from './x509-samples.js'

/** `openssl x509 -pubkey`, of its last 32 bytes. */
const ED25519_POINT = '2LYwxzAWwY1lV7zxX8WXGV8WwwKsIziaF44Pyegu+3U='

/** Of P-256. The last name of its subjectAltName claims a byte more than there is: readers of names may run in circles. */
const BAD_NAMES = `-----BEGIN CERTIFICATE-----
MIIB9zCCAZygAwIBAgIUJ+5Zy9KywRJ8Mecg8W6uUI/06aswCgYIKoZIzj0EAwIw
RDELMAkGA1UEBhMCREUxCjAIBgNVBAoMAXgxFTATBgNVBAMMDGhvc3QuZXhhbXBs
ZTESMBAGCSqGSIb3DQEJARYDYUBiMB4XDTI2MTEyNTAyNDAzM1oXDTI2MTIyNTAy
NDAzM1owRDELMAkGA1UEBhMCREUxCjAIBgNVBAoMAXgxFTATBgNVBAMMDGhvc3Qu
ZXhhbXBsZTESMBAGCSqGSIb3DQEJARYDYUBiMFkwEwYHKoZIzj0CAQYIKoZIzj0D
AQcDQgAEyyZhqHjETcgrSQfSkfJnK4zedn4XeEPzCm77sH1HBx6tqR3j+iTSe+AI
sLhtqvLygOuVoo8ulR/D1mbdGeNJcaNsMGowHQYDVR0OBBYEFIDOU4tzyIIQZBSp
LgXbRAyO6TeYMB8GA1UdIwQYMBaAFIDOU4tzyIIQZBSpLgXbRAyO6TeYMA8GA1Ud
EwEB/wQFMAMBAf8wFwYDVR0RBBAwDoIBeIcFAQIDBIEDYUBiMAoGCCqGSM49BAMC
A0kAMEYCIQDoyA5+laVqX74CkMpNv639qBIevmCjOa16xn4ZS18eggIhAJDM85cC
VEMaiZ1I93r7f52cNblILzcwwdlHot9YUcMN
-----END CERTIFICATE-----
`
/** `openssl x509 -pubkey`, of its last 64 bytes. */
const BAD_NAMES_POINT = 'yyZhqHjETcgrSQfSkfJnK4zedn4XeEPzCm77sH1HBx6tqR3j+iTSe+AIsLhtqvLygOuVoo8ulR/D1mbdGeNJcQ=='

function lineOf({ algorithm, blob }: PublicKey): string {
  return `${algorithm.name} ${blob.toString('base64')}`
}

function derOf(pem: string): Buffer {
  return Buffer.from(pem.replace(/^-.*$/gm, ''), 'base64')
}

/** A certificate of a key, signed by nobody with an algorithm that there is not. */
function certificateOf(publicKey: Uint8Array, subject: Uint8Array = sequence()): Buffer {
  const algorithm = sequence(oid('2a0304'))
  const signed = sequence(tagged(0, count(2)), count(1), algorithm, sequence(), sequence(), subject, publicKey)
  return sequence(signed, algorithm, bitString(Buffer.alloc(64)))
}

describe('X.509', () => {
  test('Ed25519, in PEM and in DER', async () => {
    for (const bytes of [Buffer.from(ED25519), derOf(ED25519), Buffer.from(ED25519.replaceAll('\n', '\r\n'))]) {
      expect(x509.detect(bytes)).toBe(true)
      const [key, ...others] = await x509.read(bytes)
      expect(others).toEqual([])
      expect(key?.algorithm.type).toBe('ed25519')
      expect(key?.comment).toBe('häna läptop')
      expect(key?.blob.subarray(-32).toString('base64')).toBe(ED25519_POINT)
    }
  })

  test('a chain, with what openssl says between', async () => {
    const text = `subject=CN = häna\nissuer=CN = häna\n${ED25519}\nsubject=CN = web1\n${P256}`
    expect(x509.detect(Buffer.from(text))).toBe(true)
    const keys = await x509.read(Buffer.from(text))
    expect(keys.map(({ comment }) => comment)).toEqual(['häna läptop', 'web1.example.com'])
    expect(keys[1] && lineOf(keys[1])).toBe(P256_LINE)
  })

  test.each([
    ['another label', ED25519.replaceAll('CERTIFICATE', 'TRUSTED CERTIFICATE')],
    ['another end', ED25519.replace('END CERT', 'END KERT')],
    ['a block that is none', ED25519.replace(/MIIB.*/, 'MAA=').replace(/^[A-Za-z0-9+/]{64}$/gm, '')],
    ['text in the base64', ED25519.replace('MIIB', 'M\vIIB')],
    ['a key after it', `${ED25519}-----BEGIN PRIVATE KEY-----\n`],
    ['a key in another format after it', `${ED25519}-----BEGIN OPENSSH PRIVATE KEY-----\n`],
    ['a header line', ED25519.replace('\n', '\nComment: x\n\n')],
  ])('%s is damaged', async (_name, text) => {
    await expect(x509.read(Buffer.from(text))).rejects.toMatchObject({ code: 'damaged' })
  })

  test.each(['', '\n', 'Certificate:\n'])('%j holds none', async text => {
    expect(x509.detect(Buffer.from(text))).toBe(false)
    await expect(x509.read(Buffer.from(text))).rejects.toMatchObject({ code: 'damaged' })
    await expect(dnskey.read(Buffer.from(text))).rejects.toMatchObject({ code: expect.stringMatching(/damaged|unsup/) })
  })

  test('names that nobody can read keep no key from being read', async () => {
    for (const bytes of [Buffer.from(BAD_NAMES), derOf(BAD_NAMES)]) {
      const [key, ...others] = await x509.read(bytes)
      expect(others).toEqual([])
      expect(key?.comment).toBe('host.example')
      expect(key?.blob.subarray(-64).toString('base64')).toBe(BAD_NAMES_POINT)
    }
  })

  test.each(['ed25519', 'ed448', 'ecdsa-256', 'ecdsa-384', 'ecdsa-521', 'rsa', 'dsa'])(
    '%s, whatever signed it',
    async type => {
      const { publicKey: key } = await sampleKey(type)
      const [back] = await x509.read(certificateOf(derOf(spki.write(key).toString())))
      expect(back?.blob).toEqual(key.blob)
      expect(back?.comment).toBe('')
    },
  )

  describe('the common name', () => {
    const attribute = (id: string, tag: number, value: Uint8Array) =>
      sequence(oid(id), Buffer.concat([Buffer.of(tag, value.length), value]))
    const named = (tag: number, value: Uint8Array) => setOf(attribute('550403', tag, value))
    const country = setOf(attribute('550406', 0x13, Buffer.from('DE')))
    const utf16 = (text: string) => Buffer.from(text, 'utf16le').swap16()
    const commentOf = async (...sets: Uint8Array[]) => {
      const { publicKey: key } = await sampleKey('ed25519')
      const bytes = certificateOf(derOf(spki.write(key).toString()), sequence(...sets))
      return (await x509.read(bytes))[0]?.comment
    }

    test.each([
      ['UTF8String', [country, named(0x0c, Buffer.from('häna 密'))], 'häna 密'],
      ['PrintableString', [named(0x13, Buffer.from('hana')), country], 'hana'],
      ['T61String', [named(0x14, Buffer.from('häna', 'latin1'))], 'häna'],
      ['BMPString', [named(0x1e, utf16('häna 密'))], 'häna 密'],
      ['the first of two', [named(0x13, Buffer.from('one')), named(0x13, Buffer.from('two'))], 'one'],
      [
        'beside another attribute',
        [setOf(attribute('550406', 0x13, Buffer.from('DE')), attribute('550403', 0x0c, Buffer.from('x')))],
        'x',
      ],
      ['of several lines', [named(0x0c, Buffer.from('a\nb\u001b[31m'))], 'a b [31m'],
      ['that is no UTF-8', [named(0x0c, Buffer.of(0xc3))], ''],
      ['of half a character', [named(0x1e, Buffer.of(0, 0x61, 0))], ''],
      ['of another type', [named(0x1c, Buffer.from('\0\0\0a'))], ''],
      ['without one', [country], ''],
    ])('%s', async (_name, sets, comment) => {
      expect(await commentOf(...sets)).toBe(comment)
    })

    test.each([
      ['a name that is no SET', [sequence()]],
      ['a value that is missing', [setOf(sequence(oid('550403')))]],
      ['two values', [setOf(sequence(oid('550403'), bitString(Buffer.of(1)), count(1)))]],
    ])('%s is damaged', async (_name, sets) => {
      await expect(commentOf(...sets)).rejects.toMatchObject({ code: 'damaged' })
    })
  })

  test('what is too large is refused', async () => {
    const huge = Buffer.alloc(70_000)
    huge.set([0x30, 0x83, 0x01, 0x11, 0x6b, 0x30, 0x83, 0x01, 0x11, 0x66, 0x02])
    expect(x509.detect(huge)).toBe(true)
    await expect(x509.read(huge)).rejects.toMatchObject({
      code: 'damaged',
      message: expect.stringContaining('too large'),
    })
    const many = Buffer.from(ED25519.repeat(3000))
    await expect(x509.read(many)).rejects.toMatchObject({ code: 'damaged' })
  })

  test('other DER files claim to be none', () => {
    const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const { publicKey: rsa, privateKey: rsaPrivate } = generateKeyPairSync('rsa', { modulusLength: 1024 })
    for (const der of [
      publicKey.export({ format: 'der', type: 'spki' }),
      privateKey.export({ format: 'der', type: 'pkcs8' }),
      privateKey.export({ format: 'der', type: 'sec1' }),
      rsa.export({ format: 'der', type: 'pkcs1' }),
      rsa.export({ format: 'der', type: 'spki' }),
      rsaPrivate.export({ format: 'der', type: 'pkcs1' }),
      rsaPrivate.export({ format: 'der', type: 'pkcs8', cipher: 'aes-256-cbc', passphrase: 'x' }),
      Buffer.alloc(0),
      Buffer.from([0x30]),
    ]) {
      expect(x509.detect(der)).toBe(false)
    }
  })
})

describe('DNSKEY', () => {
  /** RFC 6605 section 6.1. */
  const P256_RECORD =
    'example.net. 3600 IN DNSKEY 257 3 13 ( GojIhhXUN/u4v54ZQqGSnyhWJwaubCvTmeexv7bR6edb\n krSqQpF64cYbcB7wNcP+e+MAnLr+Wi9xMWyQLc8NAA== )\n'
  /** RFC 6605 section 6.2. */
  const P384_RECORD =
    'example.net. 3600 IN DNSKEY 257 3 14 (\n xKYaNhWdGOfJ+nPrL8/arkwf2EY3MDJ+SErKivBVSum1\n w/egsXvSADtNJhyem5RCOpgQ6K8X1DRSEkrbYQ+OB+v8\n /uX45NBwY8rp65F6Glur8I/mlVNgF6W/qTI37m40 )\n'
  /** RFC 8080 section 6.1. */
  const ED25519_RECORD = 'example.com. 3600 IN DNSKEY 257 3 15 ( l02Woi0iS8Aa25FQkUd9RMzZHJpBoRQwAQEX1SxZJA4= )'
  /** RFC 8080 section 6.2. */
  const ED448_RECORD =
    'example.com. 3600 IN DNSKEY 257 3 16 ( 3kgROaDjrh0H2iuixWBrc8g2EpBBLCdGzHmn+G2MpTPhpj/OiBVHHSfPodx1FYYUcJKm1MDpJtIA )'
  /** RFC 5702 section 6.1, 512 bits: too short for SSH. */
  const SHORT_RSA =
    'example.net. 3600 IN DNSKEY (256 3 8 AwEAAcFcGsaxxdgiuuGmCkVImy4h99CqT7jwY3pexPGcnUFtR2Fh36BponcwtkZ4cAgtvd4Qs8PkxUdp6p/DlUmObdk= )'

  /** A record of an RSA key as RFC 3110 section 2 has it. */
  function rsaRecord(bits: number, algorithm: number, spoil = (data: Buffer) => data): { text: string; n: Buffer } {
    const { publicKey } = generateKeyPairSync('rsa', { modulusLength: bits })
    const { n = '', e = '' } = publicKey.export({ format: 'jwk' })
    const [modulus, exponent] = [Buffer.from(n, 'base64url'), Buffer.from(e, 'base64url')]
    const data = spoil(Buffer.concat([Buffer.of(exponent.length), exponent, modulus]))
    return { text: `example.com. IN DNSKEY 256 3 ${algorithm} ${data.toString('base64')}\n`, n: modulus }
  }

  test.each([
    ['ecdsa-256', P256_RECORD, 'example.net.'],
    ['ecdsa-384', P384_RECORD, 'example.net.'],
    ['ed25519', ED25519_RECORD, 'example.com.'],
    ['ed448', ED448_RECORD, 'example.com.'],
  ])('%s of the RFC', async (type, text, owner) => {
    expect(dnskey.detect(Buffer.from(text))).toBe(true)
    const [key] = await dnskey.read(Buffer.from(text))
    expect(key?.algorithm.type).toBe(type)
    expect(key?.comment).toBe(owner)
    const base64 = text.replace(/^.*DNSKEY 257 3 1\d|[ ()\n]/g, '')
    expect(key?.blob.toString('hex').endsWith(Buffer.from(base64, 'base64').toString('hex'))).toBe(true)
  })

  test.each([5, 7, 8, 10])('RSA with algorithm %i', async algorithm => {
    const { text, n } = rsaRecord(1024, algorithm)
    const [key] = await dnskey.read(Buffer.from(`; This is a key\n${text}`))
    expect(key?.parts['n']).toEqual(n)
  })

  test('several records, and KEY records', async () => {
    const text = `${P256_RECORD}${ED25519_RECORD.replace('DNSKEY', 'KEY')}\n`
    expect((await dnskey.read(Buffer.from(text))).map(({ algorithm }) => algorithm.type)).toEqual([
      'ecdsa-256',
      'ed25519',
    ])
  })

  test.each([
    ['RSA too short for SSH', SHORT_RSA, 'unsupported'],
    ['an unknown algorithm', ED25519_RECORD.replace('3 15', '3 99'), 'unsupported'],
    ['DSA', ED25519_RECORD.replace('3 15', '3 3'), 'unsupported'],
    ['another protocol', ED25519_RECORD.replace('3 15', '2 15'), 'damaged'],
    ['flags that are none', ED25519_RECORD.replace('257', '65536'), 'damaged'],
    ['a record of another type', 'example.com. IN A 127.0.0.1', 'unsupported'],
    ['a record that ends too soon', 'example.com. IN DNSKEY 257 3', 'damaged'],
    ['a key that ends too soon', ED25519_RECORD.replace('l02W', ''), 'damaged'],
    ['no key', 'example.com. IN DNSKEY 257 3 13', 'damaged'],
    ['a point off its curve', P256_RECORD.replace('Gojl', 'Gojm').replace('GojI', 'GojJ'), 'damaged'],
    ['a character that is not base64', ED25519_RECORD.replace('l02W', 'l0_W'), 'damaged'],
    ['a parenthesis too few', ED25519_RECORD.replace(')', ''), 'damaged'],
    ['a huge file', `${ED25519_RECORD}\n`.repeat(2000), 'damaged'],
  ])('%s is refused', async (_name, text, code) => {
    await expect(dnskey.read(Buffer.from(text))).rejects.toMatchObject({ name: 'KeytoolError', code })
  })

  test('exponents that lie', async () => {
    for (const first of [0, 2, 200, 255]) {
      const { text } = rsaRecord(1024, 8, data => Buffer.concat([Buffer.of(first), data.subarray(1)]))
      await expect(dnskey.read(Buffer.from(text))).rejects.toMatchObject({
        code: expect.stringMatching(/damaged|unsup/),
      })
    }
  })

  test('cut anywhere, it is damaged', async () => {
    for (const text of [P256_RECORD, ED25519_RECORD]) {
      for (let cut = 1; cut < text.trimEnd().length; cut++) {
        const error = await dnskey.read(Buffer.from(text.slice(0, cut))).catch(error => error)
        expect(error).toMatchObject({ code: expect.stringMatching(/^(damaged|unsupported)$/) })
      }
    }
  })
})
