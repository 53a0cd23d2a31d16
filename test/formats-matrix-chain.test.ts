import { jest } from '@jest/globals'
import { algorithms } from '../packages/keygen/src/algorithms/table.js'
import { isKeytoolError } from '../packages/keygen/src/error.js'
import type { PublicFormat, WritableFormat } from '../packages/keygen/src/formats/format.js'
import { publicFormats } from '../packages/keygen/src/formats/registry.js'
import type { PrivateKey, PublicKey } from '../packages/keygen/src/key.js'
import { sampleKey } from '../packages/keygen/test/sample-keys.js'
import { waysOf, writableFormats, writePublic } from './formats-matrix/ours.js'
import { differingParts, maskRandom } from './formats-matrix/same.js'
import { secrets } from './formats-matrix/trial.js'

// Our own chain: from any format to any other and back.

jest.setTimeout(120_000)

const COMMENT = 'häna@laptop 1'
const passphrase = Buffer.from(secrets['UTF-8'] ?? '')

describe.each(algorithms.map(({ type }) => type))('%s', type => {
  let key: PrivateKey
  beforeAll(async () => {
    key = await sampleKey(type, COMMENT)
  })

  const algorithm = algorithms.find(row => row.type === type)
  const formats = writableFormats.filter(format => algorithm && format.holds(algorithm))
  const pairs = formats.flatMap(a => formats.filter(b => a !== b).map(b => ({ from: a.name, over: b.name, a, b })))

  // Two formats at the least have every type, but for those that are OpenSSH's alone.
  const chains = pairs.length > 0 ? pairs : formats.map(a => ({ from: a.name, over: a.name, a, b: a }))

  test.each(chains)('from $from over $over and back', async ({ a, b }) => {
    const start = await a.write(key)
    const first = await a.read(start)
    expectSame(first, key)
    for (const options of [
      {},
      ...waysOf(b)
        .slice(0, 1)
        .map(way => ({ ...way, passphrase })),
    ]) {
      const middle = await b.read(await b.write(first, options), options)
      expectSame(middle, key)
      expect(middle.comment).toBe(keeps(a, b) ? COMMENT : '')
      // A format that keeps no comment loses it; what is compared is the key.
      const end = await a.write(a.keepsComment ? middle.withComment(COMMENT) : middle)
      expectSame(await a.read(end), key)
      expect(maskRandom(a, end)).toBe(maskRandom(a, start))
    }
  })

  test('from every public format over every other and back', async () => {
    const readable: { format: PublicFormat; text: Buffer; read: PublicKey }[] = []
    for (const format of publicFormats) {
      const text = writePublic(format, key.publicKey)
      const read = text && (await readOnly(format, text))
      if (read) readable.push({ format, text, read })
    }
    expect(readable.length).toBeGreaterThanOrEqual(2)
    for (const { format: a, text, read } of readable) {
      for (const { format: b } of readable) {
        const [back] = await b.read(writePublic(b, read) ?? Buffer.of())
        expect(back?.blob).toEqual(key.publicKey.blob)
        expect(back && writePublic(a, back.withComment(read.comment))?.toString()).toBe(text.toString())
      }
    }
  })
})

/** The key; `undefined` where the format holds no key, only a digest of one. */
async function readOnly(format: PublicFormat, text: Buffer): Promise<PublicKey | undefined> {
  try {
    const [key] = await format.read(text)
    return key
  } catch (error) {
    if (isKeytoolError(error) && error.code === 'unsupported') return undefined
    throw error
  }
}

function keeps(...formats: WritableFormat[]): boolean {
  return formats.every(format => format.keepsComment)
}

function expectSame(back: PrivateKey, key: PrivateKey): void {
  expect(differingParts(back, key)).toEqual([])
}
