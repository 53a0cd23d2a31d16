import fc from 'fast-check'
import type { Terms } from '../src/terms.js'
import { own, read, recorded, write } from './constraints-support.js'

test('a byte too many; a bit turned in any byte: other terms, or none at all', () => {
  const plain = write(recorded.constraints)
  expect(() => read(Buffer.concat([plain, Buffer.of(0)]))).toThrow(/number 0 is not enforced/)
  let refused = 0
  for (let at = 0; at < plain.length; at++) {
    const turned = Buffer.from(plain)
    turned[at] = (turned[at] ?? 0) ^ (1 << (at % 8))
    let terms: Terms
    try {
      terms = read(turned)
    } catch (error) {
      expect(error).toMatchObject({ name: 'KeytoolError', code: expect.stringMatching(/^(damaged|unsupported)$/) })
      refused++
      continue
    }
    expect(write(read(write(terms)))).toEqual(write(terms))
  }
  // Names, numbers, lengths and the point of the ECDSA key; the rest are names of hosts and keys that may be any.
  expect(refused).toBeGreaterThan(plain.length / 3)
})

const second = fc.integer({ min: 1, max: 0xffffffff })
const keys = fc.array(fc.record({ key: fc.constant(own), isAuthority: fc.boolean() }), { minLength: 1, maxLength: 3 })
const name = fc.string({ minLength: 1, maxLength: 40 }).filter(text => !/[@\0]/.test(text))
const host = fc.record({ user: fc.constant(''), host: name, keys })
const nowhere = fc.constant({ user: '', host: '', keys: [] })
const destination = fc.record({
  from: fc.oneof(nowhere, host),
  to: fc.record({ user: fc.oneof(fc.constant(''), name), host: name, keys }),
})
const someTerms = fc.record(
  {
    lifetime: second,
    idle: second,
    confirm: fc.constant(true),
    destinations: fc.array(destination, { minLength: 1, maxLength: 4 }),
  },
  { requiredKeys: [] },
)

test('any terms: written, read and written again they are the same', () => {
  fc.assert(
    fc.property(someTerms, terms => {
      const bytes = write(terms)
      expect(read(bytes)).toEqual(terms)
      expect(write(read(bytes))).toEqual(bytes)
    }),
    { numRuns: 200 },
  )
})

test('any bytes: terms, damaged or unsupported', () => {
  fc.assert(
    fc.property(fc.constantFrom(1, 2, 255, 3), fc.uint8Array({ maxLength: 120 }), (number, bytes) => {
      try {
        read(Buffer.concat([Buffer.of(number), bytes]))
      } catch (error) {
        expect(error).toMatchObject({ code: expect.stringMatching(/^(damaged|unsupported)$/) })
      }
    }),
    { numRuns: 2000 },
  )
})
