import { inspect } from 'node:util'
import { algorithms } from '../src/algorithms/table.js'
import { fingerprint } from '../src/fingerprint.js'
import { generate, planKey } from '../src/generate.js'
import { decodeSignature, encodeSignature, PrivateKey, PublicKey } from '../src/key.js'
import { sampleKey } from './sample-keys.js'

const data = Buffer.from('what is signed')

describe.each(algorithms.filter(row => row.signer))('$type', algorithm => {
  test('signs what it alone verifies', async () => {
    const [key, other] = await Promise.all([sampleKey(algorithm.type), sampleKey(algorithm.type)])
    for (const scheme of algorithm.schemes) {
      const hash = scheme.hash === 'sha384' ? undefined : (scheme.hash ?? undefined)
      const signature = await key.sign(data, hash ? { hash } : {})
      expect(signature.scheme).toBe(scheme.name)
      expect(decodeSignature(encodeSignature(signature))).toEqual(signature)
      expect(await key.publicKey.verify(data, signature)).toBe(true)
      expect(await other.publicKey.verify(data, signature)).toBe(false)
      expect(await key.publicKey.verify(Buffer.from('something else'), signature)).toBe(false)
      expect(await key.publicKey.verify(data, { ...signature, scheme: 'no-scheme' })).toBe(false)
    }
  })
})

describe.each(algorithms)('$type', algorithm => {
  test('is read back from its blob, and from nothing shorter or longer', async () => {
    const { publicKey } = await sampleKey(algorithm.type)
    expect(PublicKey.fromBlob(publicKey.blob).equals(publicKey)).toBe(true)
    for (let length = 0; length < publicKey.blob.length; length += length < 300 ? 1 : 97) {
      expect(() => PublicKey.fromBlob(publicKey.blob.subarray(0, length))).toThrow(
        expect.objectContaining({ name: 'KeytoolError' }),
      )
    }
    expect(() => PublicKey.fromBlob(Buffer.concat([publicKey.blob, Buffer.of(0)]))).toThrow(
      expect.objectContaining({ code: 'damaged' }),
    )
  })

  const proof = algorithm.signer ? 'refuses private parts of another key' : 'only its token can tell whose handle it is'
  test(proof, async () => {
    const [one, other] = await Promise.all([sampleKey(algorithm.type), sampleKey(algorithm.type)])
    const mixed = PrivateKey.fromParts(algorithm, { ...other.parts, ...one.publicKey.parts })
    if (algorithm.signer) await expect(mixed).rejects.toMatchObject({ code: 'damaged' })
    else await expect((await mixed).sign(data)).rejects.toMatchObject({ code: 'unsupported' })
  })

  test('shows its secret in no text', async () => {
    const key = await sampleKey(algorithm.type)
    const texts = [
      JSON.stringify(key),
      JSON.stringify({ key }),
      inspect(key, { depth: 9, showHidden: true }),
      String(key),
    ]
    const secrets = Object.entries(key.parts).filter(
      ([name, part]) => !(name in key.publicKey.parts) && part.length > 8,
    )
    expect(secrets.length).toBeGreaterThan(0)
    for (const text of texts) {
      for (const [, secret] of secrets) {
        for (const encoding of ['hex', 'base64', 'base64url'] as const) {
          expect(text).not.toContain(secret.toString(encoding).slice(0, 12))
        }
        expect(text).not.toContain(inspect(secret).slice(8, 40))
      }
    }
    expect(texts[0]).toBe(JSON.stringify({ fingerprint: fingerprint(key.publicKey) }))
  })

  test('wipe leaves nothing', async () => {
    const key = await sampleKey(algorithm.type)
    const { parts } = key
    key.wipe()
    for (const part of Object.values(parts)) expect(part.every(byte => byte === 0)).toBe(true)
  })
})

describe('RSA that contradicts itself is damaged', () => {
  test.each(['d', 'iqmp', 'p', 'q', 'n', 'e'])('one bit of %s', async name => {
    const key = await generate('rsa', { bits: 2048 })
    const parts = Object.fromEntries(Object.entries(key.parts).map(([n, part]) => [n, Buffer.from(part)]))
    const part = parts[name] as Buffer
    part[part.length - 1] = (part.at(-1) ?? 0) ^ 2
    await expect(PrivateKey.fromParts(key.algorithm, parts)).rejects.toMatchObject({ code: 'damaged' })
  })
})

test('RSA whose factor is no prime is damaged, though every equation holds', async () => {
  const [one, two] = await Promise.all([generate('rsa', { bits: 2048 }), generate('rsa', { bits: 2048 })])
  const number = (part: Buffer | undefined) => BigInt(`0x${part?.toString('hex')}`)
  const bytes = (value: bigint) => {
    const hex = value.toString(16)
    return Buffer.from(hex.length % 2 ? `0${hex}` : hex, 'hex')
  }
  // p is the product of two primes; the rest follows from it as for any key.
  const p = number(one.parts['p']) * number(one.parts['q'])
  const q = number(two.parts['p'])
  const e = 65537n
  const order = (p - 1n) * (q - 1n)
  const parts = {
    e: bytes(e),
    n: bytes(p * q),
    d: bytes(inverse(e, order)),
    iqmp: bytes(inverse(q % p, p)),
    p: bytes(p),
    q: bytes(q),
  }
  await expect(PrivateKey.fromParts(one.algorithm, parts)).rejects.toMatchObject({ code: 'damaged' })
})

/** By the extended Euclidean algorithm. */
function inverse(value: bigint, modulus: bigint): bigint {
  let [a, b, x, y] = [value, modulus, 1n, 0n]
  while (b > 0n) [a, b, x, y] = [b, a % b, y, x - (a / b) * y]
  return ((x % modulus) + modulus) % modulus
}

describe('what is never made', () => {
  test.each([
    ['dsa', undefined],
    ['ed25519-sk', undefined],
    ['', undefined],
    ['rsa', 1024],
    ['rsa', 2047],
    ['rsa', 16385],
    ['rsa', 2048.5],
    ['ed25519', 512],
    ['ecdsa-256', 384],
    ['__proto__', undefined],
  ])('%s of %s bits', (type, bits) => {
    expect(() => planKey(type, bits)).toThrow(expect.objectContaining({ code: 'usage', hint: expect.any(String) }))
  })

  test('a point off its curve is no key', async () => {
    const { publicKey } = await generate('ecdsa-256')
    const blob = Buffer.from(publicKey.blob)
    blob[blob.length - 1] = (blob.at(-1) ?? 0) ^ 1
    expect(() => PublicKey.fromBlob(blob)).toThrow(expect.objectContaining({ code: 'damaged' }))
  })
})
