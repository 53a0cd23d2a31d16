import fc from 'fast-check'
import { checkComment } from '../src/formats/comment.js'
import type { WritableFormat, WriteOptions } from '../src/formats/format.js'
import { readPrivateKey } from '../src/formats/registry.js'
import { inspectKeys } from '../src/inspect.js'
import type { PrivateKey } from '../src/key.js'
import { cheap, heldTypes, limits, sampleKeys } from './altered.js'
import { allTypes } from './sample-keys.js'

/** One file on the way. */
interface Step {
  readonly format: WritableFormat
  readonly options: WriteOptions
}

let keyOf: (type: string) => PrivateKey
beforeAll(async () => {
  keyOf = await sampleKeys('')
})

/** Any bytes but none at all: what people type, and what scripts make. */
const passphrases = fc.oneof(
  fc.string({ unit: 'grapheme-ascii', minLength: 1 }).map(text => Buffer.from(text)),
  fc.string({ unit: 'grapheme', minLength: 1 }).map(text => Buffer.from(text)),
  fc.uint8Array({ minLength: 1, maxLength: 8 }).map(bytes => Buffer.concat([bytes, Buffer.of(0)])),
  fc.uint8Array({ minLength: 200, maxLength: 1000 }).map(bytes => Buffer.from(bytes)),
)

/** Every comment that a key may have. */
const comments = fc
  .oneof(fc.string({ unit: 'grapheme' }), fc.string({ unit: 'binary', maxLength: 300 }), fc.string({ maxLength: 300 }))
  .filter(comment => {
    try {
      return checkComment(comment) === comment
    } catch {
      return false
    }
  })

/** Every way to write the format: in the clear, or with any of its ciphers. */
function stepsOf(format: WritableFormat): fc.Arbitrary<Step> {
  const inTheClear = fc.constant<Step>({ format, options: {} })
  if (format.ciphers.length === 0) return inTheClear
  const kinds = fc.constantFrom('Argon2id' as const, 'Argon2i' as const, 'Argon2d' as const)
  const encrypted = fc
    .record({ passphrase: passphrases, cipher: fc.constantFrom(...format.ciphers), kind: kinds })
    .map(({ kind, ...options }) => ({ format, options: { ...cheap, ...options, argon2: { ...cheap.argon2, kind } } }))
  return fc.oneof(inTheClear, { arbitrary: encrypted, weight: 4 })
}

/** One to six files, each of a format that holds the type. */
function chainsOf(type: string): fc.Arbitrary<Step[]> {
  const formats = heldTypes.filter(([, types]) => types.includes(type)).map(([format]) => format)
  return fc.array(fc.oneof(...formats.map(stepsOf)), { minLength: 1, maxLength: 6 })
}

/** What a failing run prints of its chain. */
function describeChain(steps: readonly Step[]): string {
  return steps
    .map(({ format, options: { cipher = 'none', passphrase } }) =>
      [format.name, cipher, passphrase && Buffer.from(passphrase).toString('hex')].join(' '),
    )
    .join(' -> ')
}

test.each(allTypes)('a key of type %s survives any chain of formats', async type => {
  await fc.assert(
    fc.asyncProperty(chainsOf(type), comments, async (chain, comment) => {
      const start = keyOf(type).withComment(comment)
      let key = start
      let isKept = true
      for (const { format, options } of chain) {
        const bytes = await format.write(key, options)
        isKept &&= format.keepsComment
        key = await readPrivateKey(bytes, { ...options, limits })
        const [facts, ...others] = await inspectKeys(bytes)
        expect(others).toEqual([])
        expect(facts).toMatchObject({
          kind: 'private',
          format: format.name,
          encrypted: options.passphrase !== undefined,
        })
        if (facts?.kind === 'private' && facts.public) expect(facts.public.equals(start.publicKey)).toBe(true)
      }
      const names = Object.keys(start.parts).sort()
      expect([describeChain(chain), Object.keys(key.parts).sort()]).toEqual([describeChain(chain), names])
      for (const name of names) expect([name, key.parts[name]]).toEqual([name, start.parts[name]])
      expect(key.publicKey.blob).toEqual(start.publicKey.blob)
      expect(key.comment).toBe(isKept ? comment : '')
    }),
    { numRuns: 10 },
  )
})
