import fc from 'fast-check'
import type { KeyFormat, WriteOptions } from '../src/formats/format.js'
import { ppk1, ppk2, ppk3 } from '../src/formats/ppk/ppk.js'
import type { PrivateKey } from '../src/key.js'
import { defaultLimits } from '../src/protect/caps.js'
import { writePpk1 } from './ppk1-writer.js'
import { expectSameParts, sampleSet } from './sample-keys.js'

const secret = 'pässwörd 密'
const passphrase = Buffer.from(secret)
/** Cheap costs: what is tested here is the format, not the price. */
const cheap: WriteOptions = { passphrase, argon2: { memory: 64, passes: 1 } }
/** What a turned bit may make a reader pay. */
const limits = { ...defaultLimits, argon2Memory: 1024, argon2Work: 4096 }
const refusals = ['secret-wrong', 'damaged', 'unsupported']

let keyOf: (type: string) => PrivateKey
beforeAll(async () => {
  keyOf = await sampleSet(['ed25519', 'rsa', 'dsa'], 'hana@läptop')
})

/** The file, with one text in it exchanged for another. */
function altered(bytes: Buffer, from: string | RegExp, to: string): Buffer {
  const text = bytes.toString('latin1')
  const changed = text.replace(from, to)
  expect(changed).not.toBe(text)
  return Buffer.from(changed, 'latin1')
}

const all: readonly (readonly [string, KeyFormat, () => Promise<Buffer>])[] = [
  ['version 1', ppk1, async () => writePpk1(keyOf('rsa'), { passphrase: secret })],
  ['version 1, DSA', ppk1, async () => writePpk1(keyOf('dsa'), { passphrase: secret })],
  ['version 2', ppk2, () => ppk2.write(keyOf('ed25519'), cheap)],
  ['version 3', ppk3, () => ppk3.write(keyOf('ed25519'), cheap)],
]

describe.each(all)('%s, as it comes', (_name, format, make) => {
  const read = (bytes: Buffer) => format.read(bytes, { passphrase, limits })

  test('any bit turned: refused. Only the comment of version 1 is beyond any proof', async () => {
    for (const bytes of [await make(), altered(await make(), /\n/g, '\r\n')]) {
      const key = await read(bytes)
      const comment = bytes.indexOf('Comment: ') + 'Comment: '.length
      const commentEnd = bytes.indexOf('\n', comment)
      await fc.assert(
        fc.asyncProperty(fc.nat(bytes.length - 1), fc.nat(7), async (at, bit) => {
          const flipped = Buffer.from(bytes)
          flipped[at] = (flipped[at] ?? 0) ^ (1 << bit)
          const back = await read(flipped).catch(error => error)
          if (format === ppk1 && at >= comment && at < commentEnd && !(back instanceof Error))
            expectSameParts(back, key)
          else expect([back.name, refusals.includes(back.code)]).toEqual(['KeytoolError', true])
        }),
        { numRuns: 500 },
      )
    }
  })
})

describe('version 2, every single bit', () => {
  test('is refused when it is turned', async () => {
    const bytes = await ppk2.write(keyOf('ed25519'), cheap)
    for (let at = 0; at < bytes.length * 8; at++) {
      const flipped = Buffer.from(bytes)
      flipped[at >> 3] = (flipped[at >> 3] ?? 0) ^ (1 << (at & 7))
      const error = await ppk2.read(flipped, { passphrase }).catch(error => error)
      if (error.name !== 'KeytoolError' || !refusals.includes(error.code)) throw new Error(`bit ${at} passes`)
    }
  })
})
