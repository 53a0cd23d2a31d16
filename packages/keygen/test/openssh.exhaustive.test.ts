import fc from 'fast-check'
import { openssh } from '../src/formats/openssh.js'
import { ciphers } from '../src/protect/ciphers.js'
import { sampleKey } from './sample-keys.js'

const passphrase = Buffer.from('pässwörd 密')
const sealed = { passphrase, rounds: 1 }

describe.each(ciphers.map(({ name }) => name))('%s, one bit turned', cipher => {
  test('anywhere in the file: refused', async () => {
    const key = await sampleKey('ed25519')
    const bytes = await openssh.write(key, { ...sealed, cipher })
    const limits = { argon2Memory: 1, argon2Work: 1, bcryptRounds: 4 }
    await fc.assert(
      fc.asyncProperty(fc.nat(bytes.length - 1), fc.nat(7), async (at, bit) => {
        const flipped = Buffer.from(bytes)
        flipped[at] = (flipped[at] ?? 0) ^ (1 << bit)
        const outcome = await openssh.read(flipped, { passphrase, limits } as never).then(
          back => (isBlank(bytes[at]) && isBlank(flipped[at]) ? back.publicKey.equals(key.publicKey) : 'another file'),
          error => ['damaged', 'unsupported', 'secret-wrong'].includes(error.code),
        )
        expect(outcome).toBe(true)
      }),
      { numRuns: 120 },
    )
  })
})

/** A line end that becomes a tab is still white space. */
function isBlank(byte: number | undefined): boolean {
  return byte === 32 || byte === 9 || byte === 10 || byte === 13
}
