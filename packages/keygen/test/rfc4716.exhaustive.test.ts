import fc from 'fast-check'
import { ed25519 } from '../src/algorithms/eddsa.js'
import { rfc4716 } from '../src/formats/sshcom/rfc4716.js'
import { PublicKey } from '../src/key.js'

const BASE64 = 'AAAAC3NzaC1lZDI1NTE5AAAAIOsTpcDdXH9EFH8BQ0Prv6nWyjcVq6LpLTmLrWDV2+nR'
/** `ssh-keygen -e -f key.pub`, OpenSSH 9.2. */
const FILE = `---- BEGIN SSH2 PUBLIC KEY ----
Comment: "256-bit ED25519, converted by hana@laptop from OpenSSH"
${BASE64}
---- END SSH2 PUBLIC KEY ----
`
const key = PublicKey.fromParts(ed25519, { pk: Buffer.from(BASE64, 'base64').subarray(-32) })

async function commentOf(bytes: Buffer): Promise<string> {
  const [found, ...others] = await rfc4716.read(bytes)
  expect(found?.equals(key)).toBe(true)
  expect(others).toEqual([])
  return found?.comment ?? 'none'
}

test('any comment comes back as it was; no line is too long, no character torn', async () => {
  const parts = ['a', ' ', '"', '\\', ': ', 'ä', '鍵', '😀', '----', ' END ', '\t', 'long'.repeat(10)]
  const text = fc.string({ unit: fc.constantFrom(...parts), maxLength: 60 })
  await fc.assert(
    fc.asyncProperty(text, async comment => {
      fc.pre(Buffer.byteLength(JSON.stringify(comment)) <= 1024)
      const bytes = rfc4716.write(key.withComment(comment))
      expect(await commentOf(bytes)).toBe(comment)
      const lines = bytes.toString().split('\n')
      for (const line of lines) {
        expect(Buffer.byteLength(line)).toBeLessThanOrEqual(72)
        expect(line).not.toContain('\ufffd')
      }
      // What would mislead ssh-keygen: see the writer.
      const others = lines.slice(2, lines.indexOf(BASE64))
      for (const line of others) expect(line).not.toMatch(/: |^----/)
      expect(lines[1]).not.toContain(' END ')
    }),
    { numRuns: 1000 },
  )
})

describe('a file that was altered', () => {
  test('any bit turned: refused, or a key that can be one', async () => {
    for (let at = 0; at < FILE.length; at++) {
      for (let bit = 0; bit < 8; bit++) {
        const flipped = Buffer.from(FILE)
        flipped[at] = (flipped[at] ?? 0) ^ (1 << bit)
        const [back] = await rfc4716.read(flipped).catch(error => {
          expect(error).toMatchObject({ name: 'KeytoolError' })
          return []
        })
        if (back) expect(back.algorithm.name).toBe('ssh-ed25519')
      }
    }
  })
})
