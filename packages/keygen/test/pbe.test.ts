import { pbkdf2Sync, scryptSync } from 'node:crypto'
import { count, nothing, octetString, oid, sequence } from '../src/der.js'
import { writePem } from '../src/formats/pem/armor.js'
import { pkcs8 } from '../src/formats/pkcs8/pkcs8.js'
import type { PrivateKey } from '../src/key.js'
import { defaultLimits, type Limits, noLimits } from '../src/protect/caps.js'
import { cipherNamed } from '../src/protect/ciphers.js'
import { encryptPadded } from '../src/protect/pbe-cbc.js'
import { effortOf } from './effort.js'
import { sampleKey } from './sample-keys.js'

const passphrase = Buffer.from('pässwörd')
const PBES2 = '2a864886f70d01050d'
const PBKDF2 = '2a864886f70d01050c'
const SCRYPT = '2b06010401da47040b'
const AES256 = '60864801650304012a'
const SHA256 = '2a864886f70d0209'

/**
 * One Ed25519 key, as OpenSSL 3.0.19 encrypts it: `openssl pkcs8 -topk8 -in KEY -v1 NAME -passout pass:pässwörd -provider
 * legacy -provider default`, then with `-v2 des-cbc -v2prf hmacWithSHA1`, then with `-v2 aes-128-cbc -v2prf NAME -iter 3`.
 */
const PUBLIC = 'x36yEuKmwbBziS+g6JxtMwOIn9rdhshn69n9kgpmxio='
const files = [
  {
    name: 'PBE-MD5-DES',
    cipher: 'des-cbc',
    kdf: { name: 'pbkdf1-md5', rounds: 2048 },
    base64:
      'MFcwGwYJKoZIhvcNAQUDMA4ECI9D3J5Hc19ZAgIIAAQ4sZ9xGH6JzUwtRv6EoCeg' +
      'SNoj49VTiyVasKfG4yiZAU3ma0/1aAK3YjTHy5nYYp5y9XiBOKntwi8=',
  },
  {
    name: 'PBE-SHA1-DES',
    cipher: 'des-cbc',
    kdf: { name: 'pbkdf1-sha1', rounds: 2048 },
    base64:
      'MFcwGwYJKoZIhvcNAQUKMA4ECIpVjVdP8SFYAgIIAAQ4MvpyODeWns3YuJLNjg2z' +
      'ixpLu8WLfF0LF3EagRhTYVRY+ryWJv3IaRhR3gWeXNgxLWxb+DXBZy0=',
  },
  {
    name: 'PBE-SHA1-3DES',
    cipher: '3des-cbc',
    kdf: { name: 'pkcs12-sha1', rounds: 2048 },
    base64:
      'MFgwHAYKKoZIhvcNAQwBAzAOBAiiyNMSVCx2xwICCAAEOPKnvmBLjeUZWRWsyVvL' +
      'kwJr/pwcGQIoPS5EiMv7yssejelQi8wu2f6YFVVnTt3A9tZ1/82eAzTP',
  },
  {
    name: 'PBE-SHA1-2DES',
    cipher: '3des-cbc',
    kdf: { name: 'pkcs12-sha1', rounds: 2048 },
    base64:
      'MFgwHAYKKoZIhvcNAQwBBDAOBAh4JcSsu9UiRwICCAAEOG1PXuRjoBZQjeMTrxCs' +
      '6uyPf5Cv9gQHtekCWdGCFDVVqXFWBzHblaqP+c7xUHHKkZMfFc4KZiGq',
  },
  {
    name: 'des-cbc',
    cipher: 'des-cbc',
    kdf: { name: 'pbkdf2-sha1', rounds: 2048 },
    base64:
      'MHkwPQYJKoZIhvcNAQUNMDAwGwYJKoZIhvcNAQUMMA4ECNXCuiVv8KtvAgIIADAR' +
      'BgUrDgMCBwQIC0dWA3T1B28EOAAGGcrLs3g1Wcg3bAkr1ZKcmvTn/2/Iouxlf0s6' +
      'd6HXzJa8W2Qr3tetp/chbMj4NPlheI/d9xC8',
  },
  {
    name: 'hmacWithSHA1',
    cipher: 'aes128-cbc',
    kdf: { name: 'pbkdf2-sha1', rounds: 3 },
    base64:
      'MIGMMEgGCSqGSIb3DQEFDTA7MBoGCSqGSIb3DQEFDDANBAiukQx87f2PPgIBAzAd' +
      'BglghkgBZQMEAQIEEMCSQNJT3RI7PS2D6PQx5twEQP7oH0jh0A+KKdrdFNGBdxdC' +
      'J9AVTf7Jr+ydXsCIMO5lB2mt6Uaa8sMz1sG8gDiHpHO2qh7MpgarcqD2O9q/O5E=',
  },
  {
    name: 'hmacWithSHA224',
    cipher: 'aes128-cbc',
    kdf: { name: 'pbkdf2-sha224', rounds: 3 },
    base64:
      'MIGaMFYGCSqGSIb3DQEFDTBJMCgGCSqGSIb3DQEFDDAbBAho57NcCUIfcwIBAzAM' +
      'BggqhkiG9w0CCAUAMB0GCWCGSAFlAwQBAgQQXelF2nh08dJsXGtJx8PfzgRA/nSc' +
      'ksiLmytGZpb/3mwUbY8rtbU2r9Lb4NS4kh0dIGD+P7xzaZqpSxm2FKD1JJEsKvpr' +
      '9S5HFw460Paq4/ILHw==',
  },
  {
    name: 'hmacWithSHA384',
    cipher: 'aes128-cbc',
    kdf: { name: 'pbkdf2-sha384', rounds: 3 },
    base64:
      'MIGaMFYGCSqGSIb3DQEFDTBJMCgGCSqGSIb3DQEFDDAbBAgQ+y7uFInwuAIBAzAM' +
      'BggqhkiG9w0CCgUAMB0GCWCGSAFlAwQBAgQQCvZ4XCamZ9hF15N6yC6vnQRA0mKf' +
      '+pGhCj2s6EoWBKZbGfE8wwkQVGqaq7C6L+31gC4FhDQcWd0BLLjK3gJf7lvWNwls' +
      'B7Qjv25ifdBXGN67Tg==',
  },
  {
    name: 'hmacWithSHA512',
    cipher: 'aes128-cbc',
    kdf: { name: 'pbkdf2-sha512', rounds: 3 },
    base64:
      'MIGaMFYGCSqGSIb3DQEFDTBJMCgGCSqGSIb3DQEFDDAbBAgGBonsgW65gwIBAzAM' +
      'BggqhkiG9w0CCwUAMB0GCWCGSAFlAwQBAgQQZ8+Sh6cjowpPhXy5hONNogRAmlep' +
      'F7sih/V3SRrU/Ex+Gk0KMOECcfW8dc+MrljNnDAZZsVGLQZIjFzgVk3Au0uV1IBH' +
      'odJ51vtu7Afgt0Z9VA==',
  },
]

const fileOf = (base64: string) => writePem('ENCRYPTED PRIVATE KEY', Buffer.from(base64, 'base64'))

describe.each(files)('$name', ({ base64, cipher, kdf }) => {
  test('is opened', async () => {
    const key = await pkcs8.read(fileOf(base64), { passphrase })
    expect(key.parts['pk']?.toString('base64')).toBe(PUBLIC)
    expect(await pkcs8.inspect(fileOf(base64))).toEqual({ format: 'pkcs8', encrypted: true, cipher, kdf })
  })

  test('a wrong passphrase is wrong', async () => {
    for (const wrong of ['passwörd', 'Pässwörd', '\0', 'pa\u0308sswo\u0308rd']) {
      await expect(pkcs8.read(fileOf(base64), { passphrase: Buffer.from(wrong) })).rejects.toMatchObject({
        code: 'secret-wrong',
        reason: 'or the file was altered',
      })
    }
  })
})

describe('what node has no cipher for is unsupported, with what to do', () => {
  test.each([
    ['PBE-SHA1-RC2-40', 'MFgwHAYKKoZIhvcNAQwBBjAOBAiRcerCohvmMgICCAAEOEy1PF85PAMrBGH9uLgm', 'RC2'],
    ['PBE-SHA1-RC4-128', 'MFAwHAYKKoZIhvcNAQwBATAOBAi3bA87nylPEQICCAAEMBF8EN8Mh8jU4M3+GJb+', 'RC4'],
    ['PBE-MD5-RC2-64', 'MFcwGwYJKoZIhvcNAQUGMA4ECC9l1Qvw/I4dAgIIAAQ4o2GfhP7makrqD4ZfjLzo', 'RC2'],
  ])('%s', async (_name, beginning, cipher) => {
    const body = Buffer.alloc(90)
    Buffer.from(beginning, 'base64').copy(body)
    const bytes = writePem('ENCRYPTED PRIVATE KEY', body.subarray(0, 2 + (body[1] ?? 0)))
    const unsupported = {
      code: 'unsupported',
      message: expect.stringContaining(cipher),
      hint: expect.stringContaining('openssl pkcs8 -provider legacy'),
    }
    await expect(pkcs8.read(bytes, { passphrase })).rejects.toMatchObject(unsupported)
    await expect(pkcs8.inspect(bytes)).rejects.toMatchObject(unsupported)
  })
})

describe('parameters', () => {
  const SALT = Buffer.alloc(16, 5)
  const IV = Buffer.alloc(16, 6)
  let info: Buffer
  let key: PrivateKey
  beforeAll(async () => {
    key = await sampleKey('ed25519')
    const { readPem } = await import('../src/formats/pem/armor.js')
    info = readPem(await pkcs8.write(key), ['PRIVATE KEY'])[0]?.body ?? Buffer.alloc(0)
  })
  const prf = (id = SHA256) => sequence(oid(id), nothing())
  const pbkdf2 = (...fields: Uint8Array[]) => sequence(oid(PBKDF2), sequence(...fields))
  const scrypt = (n: number, r: number, p: number, ...more: Uint8Array[]) =>
    sequence(oid(SCRYPT), sequence(octetString(SALT), count(n), count(r), count(p), ...more))
  const aes = (iv: Buffer = IV) => sequence(oid(AES256), octetString(iv))
  const seal = (kdf: Buffer, derived: Buffer, scheme: Buffer = aes()) =>
    writePem(
      'ENCRYPTED PRIVATE KEY',
      sequence(
        sequence(oid(PBES2), sequence(kdf, scheme)),
        octetString(encryptPadded(cipherNamed('aes256-cbc'), derived, IV, info)),
      ),
    )
  const derived = (iterations: number, hash = 'sha256') => pbkdf2Sync(passphrase, SALT, iterations, 32, hash)
  const read = (bytes: Buffer, limits: Limits = defaultLimits) => pkcs8.read(bytes, { passphrase, limits })

  test.each([
    ['with a length', () => [octetString(SALT), count(2), count(32), prf()], 'sha256'],
    ['with an HMAC without NULL', () => [octetString(SALT), count(2), sequence(oid(SHA256))], 'sha256'],
    ['with the default HMAC left out', () => [octetString(SALT), count(2)], 'sha1'],
    ['with the default HMAC named', () => [octetString(SALT), count(2), prf('2a864886f70d0207')], 'sha1'],
  ])('PBKDF2 %s', async (_name, fields, hash) => {
    const back = await read(seal(pbkdf2(...fields()), derived(2, hash)))
    expect(back.publicKey.blob).toEqual(key.publicKey.blob)
  })

  test.each([
    ['of no iteration', () => pbkdf2(octetString(SALT), count(0), prf()), 'damaged'],
    ['of 2^26 + 1 iterations', () => pbkdf2(octetString(SALT), count((1 << 26) + 1), prf()), 'unsupported'],
    ['of 2^31 - 1 iterations', () => pbkdf2(octetString(SALT), count(0x7fffffff), prf()), 'unsupported'],
    ['of 2^40 iterations', () => pbkdf2(octetString(SALT), count(2 ** 40), prf()), 'damaged'],
    ["with a length that is not its cipher's", () => pbkdf2(octetString(SALT), count(2), count(16), prf()), 'damaged'],
    ['with a salt of 1025 bytes', () => pbkdf2(octetString(Buffer.alloc(1025)), count(2), prf()), 'damaged'],
    ['with an unknown HMAC', () => pbkdf2(octetString(SALT), count(2), prf('2a864886f70d020c')), 'unsupported'],
    ['with more behind', () => pbkdf2(octetString(SALT), count(2), prf(), nothing()), 'damaged'],
    ['replaced by nothing known', () => sequence(oid('2a864886f70d01050e'), sequence()), 'unsupported'],
    ['replaced by scrypt with N of 3', () => scrypt(3, 8, 1), 'damaged'],
    ['replaced by scrypt with N of 1', () => scrypt(1, 8, 1), 'damaged'],
    ['replaced by scrypt with r of 0', () => scrypt(16, 0, 1), 'damaged'],
    ['replaced by scrypt with p of 0', () => scrypt(16, 8, 0), 'damaged'],
    ['replaced by scrypt of 2 GiB', () => scrypt(1 << 21, 8, 1), 'unsupported'],
    ['replaced by scrypt of 1 GiB in blocks', () => scrypt(2, 1 << 23, 1), 'unsupported'],
    ['replaced by scrypt of 2^31 - 1 lanes', () => scrypt(2, 1, 0x7fffffff), 'unsupported'],
    ['replaced by scrypt of an hour', () => scrypt(1 << 20, 8, 64), 'unsupported'],
    ['replaced by scrypt with another length', () => scrypt(16, 8, 1, count(16)), 'damaged'],
  ])('PBKDF2 %s', async (_name, kdf, code) => {
    const sealed = seal(kdf(), derived(1))
    expect(await effortOf(() => expect(read(sealed)).rejects.toMatchObject({ code }))).toBeLessThan(500)
  })

  test('scrypt with other numbers, and its length', async () => {
    const secret = scryptSync(passphrase, SALT, 32, { N: 64, r: 3, p: 7 })
    for (const more of [[], [count(32)]]) {
      const bytes = seal(scrypt(64, 3, 7, ...more), secret)
      expect((await read(bytes)).publicKey.blob).toEqual(key.publicKey.blob)
      expect(await pkcs8.inspect(bytes)).toMatchObject({ kdf: { name: 'scrypt', memory: 24, parallelism: 7 } })
    }
  })

  test("limits are the caller's", async () => {
    const bytes = seal(pbkdf2(octetString(SALT), count(3000), prf()), derived(3000))
    await expect(read(bytes, { ...defaultLimits, pbkdf2Iterations: 2999 })).rejects.toMatchObject({
      code: 'unsupported',
      reason: 'it asks for 3000 iterations of PBKDF2; the limit is 2999',
    })
    await expect(read(bytes, noLimits)).resolves.toBeDefined()
    await expect(
      pkcs8.read(fileOf(files[0]?.base64 ?? ''), { passphrase, limits: { ...defaultLimits, oldKdfIterations: 2047 } }),
    ).rejects.toMatchObject({ code: 'unsupported' })
    const dear = seal(scrypt(1024, 8, 1), Buffer.alloc(32))
    await expect(read(dear, { ...defaultLimits, scryptMemory: 1023 })).rejects.toMatchObject({ code: 'unsupported' })
    await expect(read(dear, { ...defaultLimits, scryptWork: 1023 })).rejects.toMatchObject({ code: 'unsupported' })
    // What is too dear to open can still be inspected.
    expect(await pkcs8.inspect(seal(scrypt(1 << 30, 8, 1), Buffer.alloc(32)))).toMatchObject({
      kdf: { name: 'scrypt' },
    })
  })

  test.each([
    ['an IV of 15 bytes', () => aes(Buffer.alloc(15)), 'damaged'],
    ['a cipher that is none', () => sequence(oid('60864801650304012b'), octetString(IV)), 'unsupported'],
    ['RC2', () => sequence(oid('2a864886f70d0302'), sequence(count(58), octetString(IV))), 'unsupported'],
    ['more behind the IV', () => sequence(oid(AES256), octetString(IV), nothing()), 'damaged'],
  ])('a cipher with %s', async (_name, scheme, code) => {
    const kdf = pbkdf2(octetString(SALT), count(2), prf())
    await expect(read(seal(kdf, derived(2), scheme()))).rejects.toMatchObject({ code })
  })

  test('nothing encrypted, or half a block', async () => {
    const identifier = sequence(oid(PBES2), sequence(pbkdf2(octetString(SALT), count(2), prf()), aes()))
    for (const size of [0, 8, 17]) {
      const bytes = writePem('ENCRYPTED PRIVATE KEY', sequence(identifier, octetString(Buffer.alloc(size))))
      await expect(read(bytes)).rejects.toMatchObject({ code: 'damaged' })
    }
  })

  test.each([
    [{ rounds: 0 }, 'usage'],
    [{ rounds: 1.5 }, 'usage'],
    [{ rounds: Number.NaN }, 'usage'],
    [{ rounds: (1 << 26) + 1 }, 'usage'],
    [{ rounds: 9, kdf: 'scrypt' as const }, 'usage'],
    [{ passphrase: Buffer.alloc(0) }, 'usage'],
    [{ cipher: 'aes256-ctr' }, 'unsupported'],
    [{ cipher: 'des-cbc' }, 'unsupported'],
    [{ cipher: '__proto__' }, 'unsupported'],
  ])('written with %j is refused', async (options, code) => {
    await expect(pkcs8.write(key, { passphrase, ...options })).rejects.toMatchObject({ code })
  })

  test('what is written by default', async () => {
    expect(await pkcs8.inspect(await pkcs8.write(key, { passphrase }))).toEqual({
      format: 'pkcs8',
      encrypted: true,
      cipher: 'aes256-cbc',
      kdf: { name: 'pbkdf2-sha256', rounds: 600_000 },
    })
  })
})
