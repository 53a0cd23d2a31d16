import { jest } from '@jest/globals'
import * as bcrypt from '../packages/keygen/src/protect/bcrypt.js'

// bcrypt gives the same for the same, at milliseconds each time. Most altered files ask for what the file they were made
// from asks for: it is computed once. Whatever alters salt, rounds or length is another question, and computed.

/** So many answers are kept: those that were asked for last. */
const MOST = 200

const known = new Map<string, Promise<Buffer>>()

async function remembered(passphrase: Uint8Array, salt: Uint8Array, rounds: number, length: number): Promise<Buffer> {
  const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')
  const question = [hex(passphrase), hex(salt), rounds, length].join(' ')
  const answer = known.get(question) ?? bcrypt.bcryptPbkdf(passphrase, salt, rounds, length)
  known.delete(question)
  known.set(question, answer)
  const [oldest = ''] = known.keys()
  if (known.size > MOST) known.delete(oldest)
  // Whoever asked wipes it.
  return Buffer.from(await answer)
}

/** Of modules that are imported from now on. */
export function rememberBcrypt(): void {
  jest.unstable_mockModule('../packages/keygen/src/protect/bcrypt.js', () => ({ ...bcrypt, bcryptPbkdf: remembered }))
}
