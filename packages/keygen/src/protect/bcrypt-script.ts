import { Blowfish, toWords } from './blowfish.js'

/** What bcrypt's hash yields, in bytes. */
export const HASH = 32

/** A way to compute bcrypt's hash at cost 6, with a key and salts of 64 bytes. */
export interface BcryptHasher {
  /** How many hashes it makes best at once, which is also the most that {@link BcryptHasher.hash} takes. */
  readonly width: number
  /** One hash of {@link HASH} bytes a salt, its words put out low byte first. Some 4 ms. */
  hash(password: Buffer, salts: readonly Buffer[]): Buffer[]
}

/** The 256 bits that are enciphered with the final state. */
export function readMagic(): Buffer {
  return Buffer.from('OxychromaticBlowfishSwatDynamite', 'latin1')
}

/**
 * For where WebAssembly can't be had: under a limit on address space, where this takes two to three times as long, or in
 * `node --jitless`, where every script is many times as slow.
 */
export const inScript: BcryptHasher = {
  width: 1,
  hash: (password, salts) => salts.map(salt => hashInScript(password, salt)),
}

function hashInScript(passwordBytes: Buffer, saltBytes: Buffer): Buffer {
  const password = toWords(passwordBytes)
  const salt = toWords(saltBytes)
  const state = new Blowfish()
  state.expand(password, salt)
  for (let i = 0; i < 64; i++) {
    state.expand(salt)
    state.expand(password)
  }
  const words = toWords(readMagic())
  for (let i = 0; i < 64; i++) state.encipher(words)
  const hash = Buffer.alloc(HASH)
  words.forEach((value, i) => {
    hash.writeInt32LE(value, i * 4)
  })
  state.wipe()
  for (const secret of [password, salt, words]) secret.fill(0)
  return hash
}
