import { jest } from '@jest/globals'
import fc from 'fast-check'
import type { WritableFormat } from '../packages/keygen/src/formats/format.js'
import type { PrivateKey } from '../packages/keygen/src/key.js'
import type { Sample } from '../packages/keygen/test/altered.js'
import { rememberBcrypt } from './formats-flips-kdf.js'

rememberBcrypt()
const { heldTypes, judgeCut, judgeFlip, judgePatch, pairs, sampleFile, sampleKeys, withCrLf } = await import(
  '../packages/keygen/test/altered.js'
)

jest.setTimeout(300_000)

/** So many readers wait in the threadpool at once. */
const AT_ONCE = 64

let keyOf: (type: string) => PrivateKey
beforeAll(async () => {
  keyOf = await sampleKeys('hana@läptop')
})

/** What was wrong with any of these; nothing, if all is well. */
async function faultsOf(
  places: readonly number[],
  judge: (place: number) => Promise<string | undefined>,
): Promise<string[]> {
  const faults: string[] = []
  for (let start = 0; start < places.length; start += AT_ONCE) {
    const found = await Promise.all(places.slice(start, start + AT_ONCE).map(judge))
    faults.push(...found.filter(fault => fault !== undefined))
  }
  return faults
}

const upTo = (count: number): number[] => [...Array(count).keys()]

/** The key with the smallest file of those the format holds. */
async function smallestFile(format: WritableFormat, types: readonly string[], cipher?: string): Promise<Sample> {
  const files = await Promise.all(types.map(type => sampleFile(format, keyOf(type), cipher)))
  const [smallest] = files.sort((one, other) => one.bytes.length - other.bytes.length)
  if (!smallest) throw new Error(`${format.name} holds no type of key`)
  return smallest
}

/** One cipher of each kind, whatever the length of its key: that says nothing about bits. Each one is tried further down. */
const kinds = heldTypes.flatMap(([format, types]) => {
  const byKind = new Map(format.ciphers.map(cipher => [cipher.replace(/\d+/, ''), cipher]))
  return [...byKind.values()].map(cipher => [format.name, cipher, format, types] as const)
})

describe.each(kinds)('%s, %s', (_name, cipher, format, types) => {
  test('every bit of a small key turned: refused', async () => {
    const sample = await smallestFile(format, types, cipher)
    expect(await faultsOf(upTo(8 * sample.bytes.length), bit => judgeFlip(sample, bit))).toEqual([])
  })

  test('every bit of the line ends turned, where they are those of Windows: refused', async () => {
    const sample = withCrLf(await smallestFile(format, types, cipher))
    const ends = upTo(8 * sample.bytes.length).filter(bit => [10, 13].includes(sample.bytes[bit >> 3] ?? 0))
    expect(await faultsOf(ends, bit => judgeFlip(sample, bit))).toEqual([])
  })

  test('every length of a small key: refused', async () => {
    const sample = await smallestFile(format, types, cipher)
    expect(await faultsOf(upTo(sample.bytes.length), length => judgeCut(sample, length))).toEqual([])
  })
})

describe.each(pairs.filter(([, , { ciphers }]) => ciphers.length > 0))('%s, %s', (_name, type, format) => {
  let files: Sample[]
  beforeAll(async () => {
    files = await Promise.all(format.ciphers.map(cipher => sampleFile(format, keyOf(type), cipher)))
  })
  const fileAt = (index: number): Sample => {
    const sample = files[index]
    if (!sample) throw new Error('no file')
    return sample
  }
  const anyFile = fc.nat(format.ciphers.length - 1)

  test('any bit turned, whatever the cipher: refused', async () => {
    await fc.assert(
      fc.asyncProperty(anyFile, fc.nat(), async (index, n) => {
        const sample = fileAt(index)
        expect(await judgeFlip(sample, n % (8 * sample.bytes.length))).toBeUndefined()
      }),
      { numRuns: 200 },
    )
  })

  test('a piece of it exchanged: refused', async () => {
    const pieces = fc.oneof(
      fc.uint8Array({ minLength: 2, maxLength: 40 }),
      fc.base64String({ minLength: 4, maxLength: 80 }).map(text => Buffer.from(text)),
      fc.constantFrom(': ', '-----', '9', '99999999').map(text => Buffer.from(text)),
    )
    await fc.assert(
      fc.asyncProperty(anyFile, fc.nat(), pieces, async (index, n, piece) => {
        const sample = fileAt(index)
        expect(await judgePatch(sample, n % (sample.bytes.length - 1), piece)).toBeUndefined()
      }),
      { numRuns: 80 },
    )
  })
})

test.each(pairs.filter(([, , { tuning }]) => tuning?.includes('kdf')))(
  '%s, %s, with scrypt: any bit turned is refused',
  async (_name, type, format) => {
    const sample = await sampleFile(format, keyOf(type), format.ciphers[0], { kdf: 'scrypt' })
    const bits = fc.sample(fc.nat(8 * sample.bytes.length - 1), 24)
    expect(await faultsOf(bits, bit => judgeFlip(sample, bit))).toEqual([])
  },
)
