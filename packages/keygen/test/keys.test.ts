import { generatePrimeSync } from 'node:crypto'
import { inspect } from 'node:util'
import { algorithmNamed, algorithmOfType, algorithms } from '../src/algorithms/table.js'
import { fingerprint } from '../src/fingerprint.js'
import { generate, planKey } from '../src/generate.js'
import { decodeSignature, encodeSignature, PrivateKey, PublicKey } from '../src/key.js'
import { inverse, toBytes } from '../src/number.js'
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
  const parts = rsaParts(primeOf(512) * primeOf(512), primeOf(1024))
  await expect(PrivateKey.fromParts(algorithmOfType('rsa'), parts)).rejects.toMatchObject({
    code: 'damaged',
    message: expect.stringMatching(/prime/),
  })
})

test.each([
  ['p', 382, 648],
  ['q', 648, 382],
  ['p', 3, 1030],
])('RSA whose %s is much the shorter factor (%d and %d bits) is not taken, at a quick look either', async (_, p, q) => {
  const parts = rsaParts(primeOf(p), primeOf(q))
  const taken = PrivateKey.fromParts(algorithmOfType('rsa'), parts, '', 'quick')
  await expect(taken).rejects.toMatchObject({ code: 'unsupported', message: expect.stringMatching(/shorter/) })
})

test('RSA whose factors differ by some bits is taken', async () => {
  const key = await PrivateKey.fromParts(algorithmOfType('rsa'), rsaParts(primeOf(500), primeOf(548)))
  expect(await key.publicKey.verify(data, await key.sign(data))).toBe(true)
})

test('DSA of more than 4096 bits is refused before anything is computed', () => {
  const p = Buffer.alloc(513, 0xff)
  const parts = { p, q: Buffer.alloc(20, 0xff), g: Buffer.of(2), y: Buffer.of(2) }
  expect(() => PublicKey.fromParts(algorithmNamed('ssh-dss'), parts)).toThrow(
    expect.objectContaining({ code: 'unsupported' }),
  )
})

function primeOf(bits: number): bigint {
  return generatePrimeSync(bits, { bigint: true })
}

/** A key that follows from two numbers, as if they were primes. */
function rsaParts(p: bigint, q: bigint): Record<string, Buffer> {
  const e = 65537n
  return {
    e: toBytes(e),
    n: toBytes(p * q),
    d: toBytes(inverse(e, (p - 1n) * (q - 1n))),
    iqmp: toBytes(inverse(q, p)),
    p: toBytes(p),
    q: toBytes(q),
  }
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
