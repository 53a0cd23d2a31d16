import fc from 'fast-check'
import { type Json, parseJson } from '../src/formats/jwk/json.js'
import { jwk } from '../src/formats/jwk/jwk.js'
import type { PrivateKey } from '../src/key.js'
import { sampleSet } from './sample-keys.js'

const types = ['ed25519', 'ed448', 'ecdsa-256', 'ecdsa-384', 'ecdsa-521', 'rsa']

let keyOf: (type: string) => PrivateKey
beforeAll(async () => {
  keyOf = await sampleSet(types, 'hana@läptop')
})

describe.each(types)('%s', type => {
  test('cut anywhere, it is damaged', async () => {
    const bytes = await jwk.write(keyOf(type))
    for (let cut = 0; cut < bytes.length - 2; cut++) {
      await expect(jwk.read(bytes.subarray(0, cut))).rejects.toMatchObject({ code: 'damaged' })
    }
  })
})

describe('JSON', () => {
  function plain(value: Json): unknown {
    if (value instanceof Map) return Object.fromEntries([...value].map(([name, inner]) => [name, plain(inner)]))
    return Array.isArray(value) ? value.map(plain) : value
  }

  test('is read as JSON.parse reads it', () => {
    const name = fc.string().filter(text => JSON.stringify(text) === `"${text}"` && text !== '__proto__')
    const { tree } = fc.letrec(tie => ({
      tree: fc.oneof(
        { maxDepth: 6, depthSize: 'small' },
        fc.constantFrom(null, true, false, 0, -1.5e-7),
        fc.double({ noNaN: true, noDefaultInfinity: true }),
        fc.string({ unit: 'grapheme' }),
        fc.array(tie('tree'), { maxLength: 4 }),
        fc.dictionary(name, tie('tree'), { maxKeys: 4, noNullPrototype: true }),
      ),
    }))
    fc.assert(
      fc.property(tree, fc.constantFrom(undefined, 2, '\t'), (value, indent) => {
        const text = JSON.stringify(value, null, indent)
        expect(plain(parseJson(Buffer.from(text)))).toEqual(JSON.parse(text))
      }),
      { numRuns: 500 },
    )
  })

  test('what JSON.parse refuses is refused, with the offset', () => {
    const piece = fc.constantFrom(
      '{',
      '}',
      '[',
      ']',
      ':',
      ',',
      '"',
      '\\',
      'a',
      '1',
      '-',
      '.',
      'e',
      'true',
      ' ',
      '\n',
      '\0',
      'ä',
    )
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), pieces => {
        const text = pieces.join('')
        let known = true
        try {
          JSON.parse(text)
        } catch {
          known = false
        }
        try {
          parseJson(Buffer.from(text))
          expect(known).toBe(true)
        } catch (error) {
          if (known) expect(text).toMatch(/".*".*:/s)
          expect(error).toMatchObject({ code: 'damaged', offset: expect.any(Number) })
        }
      }),
      { numRuns: 3000 },
    )
  })
})
