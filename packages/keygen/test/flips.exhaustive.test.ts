import fc from 'fast-check'
import { isKeytoolError } from '../src/error.js'
import { publicFormats } from '../src/formats/registry.js'
import { inspectKeys } from '../src/inspect.js'
import type { PrivateKey } from '../src/key.js'
import { flipBit, judgeCut, judgeFlip, pairs, refusals, sampleFile, sampleKeys } from './altered.js'
import { allTypes } from './sample-keys.js'

let keyOf: (type: string) => PrivateKey
beforeAll(async () => {
  keyOf = await sampleKeys('hana@läptop')
})

/** Every single bit, in every format and cipher, is turned in test/formats-flips.test.ts: here some of them. */
describe.each(pairs)('%s, %s', (_name, type, format) => {
  test('any bit turned in an encrypted file: refused', async () => {
    if (format.ciphers.length === 0) {
      await expect(sampleFile(format, keyOf(type), 'aes256-cbc')).rejects.toMatchObject({ code: 'refused' })
      return
    }
    const files = await Promise.all(format.ciphers.map(cipher => sampleFile(format, keyOf(type), cipher)))
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...files.keys()), fc.nat(), async (index, n) => {
        const sample = files[index]
        if (!sample) throw new Error('no file')
        expect(await judgeFlip(sample, n % (8 * sample.bytes.length))).toBeUndefined()
      }),
      { numRuns: 25 },
    )
  })

  test('any bit turned in the clear: refused or read', async () => {
    const sample = await sampleFile(format, keyOf(type))
    await fc.assert(
      fc.asyncProperty(fc.nat(8 * sample.bytes.length - 1), async bit => {
        expect(await judgeFlip(sample, bit)).toBeUndefined()
      }),
      { numRuns: 12 },
    )
  })

  test('cut anywhere: refused', async () => {
    for (const cipher of [undefined, format.ciphers[0]]) {
      const sample = await sampleFile(format, keyOf(type), cipher)
      const { length } = sample.bytes
      const places = Array.from({ length: 24 }, (_, i) => Math.floor((i * length) / 24))
      for (const place of [...places, length - 3, length - 2, length - 1]) {
        expect(await judgeCut(sample, place)).toBeUndefined()
      }
    }
  })
})

const writablePublic = publicFormats.flatMap(({ name, write }) => (write ? [[name, write] as const] : []))

describe.each(writablePublic)('public keys in %s', (_name, write) => {
  test('any bit turned, any part missing: refused or read', async () => {
    const files = allTypes.flatMap(type => {
      try {
        return [write(keyOf(type).publicKey)]
      } catch (error) {
        expect(error).toMatchObject({ code: 'unsupported' })
        return []
      }
    })
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...files.keys()), fc.nat(), fc.boolean(), async (index, n, cut) => {
        const bytes = files[index] ?? Buffer.alloc(0)
        const altered = cut ? bytes.subarray(0, n % bytes.length) : flipBit(bytes, n % (8 * bytes.length))
        const error = await inspectKeys(altered).catch(error => error)
        if (!Array.isArray(error)) expect([isKeytoolError(error), refusals.has(error.code)]).toEqual([true, true])
      }),
      { numRuns: 100 },
    )
  })
})
