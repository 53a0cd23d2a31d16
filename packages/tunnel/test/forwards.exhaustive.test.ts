import { PassThrough } from 'node:stream'
import { isKeytoolError } from '@keytool/keygen'
import fc from 'fast-check'
import { speakSocks } from '../src/forwards/socks.js'
import type { SocksTarget } from '../src/forwards/socks-request.js'
import { type ForwardKind, formatForward, parseForward } from '../src/forwards/spec.js'
import { pair } from './forwards-fake.js'

const kinds: readonly ForwardKind[] = ['local', 'remote', 'dynamic']

test('any text is a forward that is written as it was read, or a usage error', () => {
  const piece = fc.constantFrom(
    ':',
    '[',
    ']',
    '::1',
    '/',
    '/a',
    '\\',
    '*',
    '80',
    '0',
    '65536',
    'host',
    'é',
    '\n',
    '-',
    '~',
  )
  const text = fc.oneof(
    fc.array(piece, { maxLength: 9 }).map(parts => parts.join('')),
    fc.string({ unit: 'binary' }),
  )
  let read = 0
  fc.assert(
    fc.property(fc.constantFrom(...kinds), text, (kind, written) => {
      try {
        const spec = parseForward(kind, written)
        read++
        expect(parseForward(kind, formatForward(spec))).toEqual(spec)
      } catch (error) {
        if (!isKeytoolError(error) || error.code !== 'usage') throw error
      }
    }),
    { numRuns: 10_000 },
  )
  // Enough of them are none.
  expect(read).toBeGreaterThan(100)
})

test('any bytes at the SOCKS proxy lead to a plain target, or to a refusal', async () => {
  const byte = fc.oneof(fc.constantFrom(0, 1, 2, 3, 4, 5, 255), fc.nat(255))
  const bytes = fc.uint8Array({ maxLength: 40 })
  const start = fc.constantFrom([5, 1, 0, 5, 1, 0], [5, 1, 0], [4, 1], [5], [])
  const pieces = fc.array(fc.oneof(fc.array(byte, { maxLength: 12 }), bytes), { maxLength: 6 })
  let reached = 0
  await fc.assert(
    fc.asyncProperty(start, pieces, async (first, rest) => {
      const [near, far] = pair()
      far.resume()
      const targets: SocksTarget[] = []
      const served = speakSocks(
        near,
        async target => {
          targets.push(target)
          return new PassThrough()
        },
        { request: 1000, farewell: 1 },
      ).then(
        stream => stream?.destroy(),
        error => {
          if (!isKeytoolError(error)) throw error
        },
      )
      for (const piece of [first, ...rest]) far.write(Buffer.from(piece))
      far.end()
      await served
      near.destroy()
      for (const { host, port } of targets) {
        reached++
        expect(host).toMatch(/^(?!-)[\x21-\x7e]{1,255}$/)
        expect(port).toBeGreaterThan(0)
      }
    }),
    { numRuns: 3_000 },
  )
  expect(reached).toBeGreaterThan(10)
})
