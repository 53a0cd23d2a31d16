import { fractionOfPi } from './pi.js'

/** Sixteen rounds, eighteen subkeys, four boxes of 256 words. */
const SUBKEYS = 18
const BOXES = 4 * 256

let start: Buffer | undefined
let startWords: Int32Array | undefined

/** What every state starts from: the subkeys, then the boxes, each word high byte first. Not to be written to. */
export function startState(): Buffer {
  start ??= fractionOfPi(SUBKEYS + BOXES)
  return start
}

/** Bytes as 32-bit words, high byte first. */
export function toWords(bytes: Buffer): Int32Array {
  return Int32Array.from({ length: bytes.length / 4 }, (_, i) => bytes.readInt32BE(i * 4))
}

/**
 * Blowfish as bcrypt uses it: a state that keys are mixed into, over and over. Words are signed 32-bit integers, which
 * is what the engine computes with fastest.
 */
export class Blowfish {
  readonly #subkeys: Int32Array
  readonly #boxes: Int32Array
  /** The halves of the block that {@link Blowfish.#encipher} works on. */
  #left = 0
  #right = 0

  constructor() {
    startWords ??= toWords(startState())
    this.#subkeys = startWords.slice(0, SUBKEYS)
    this.#boxes = startWords.slice(SUBKEYS)
  }

  /**
   * Mixes a key in, and a salt where there is one.
   * @param key words; @param salt words, an even number of them, or nothing
   */
  expand(key: Int32Array, salt: Int32Array = NO_SALT): void {
    const subkeys = this.#subkeys
    for (let i = 0; i < SUBKEYS; i++) subkeys[i] = word(subkeys, i) ^ word(key, i % key.length)
    this.#left = 0
    this.#right = 0
    const at = this.#refill(subkeys, salt, 0)
    this.#refill(this.#boxes, salt, at)
  }

  /** Enciphers pairs of words in place (ECB). */
  encipher(words: Int32Array): void {
    for (let i = 0; i < words.length; i += 2) {
      this.#left = word(words, i)
      this.#right = word(words, i + 1)
      this.#encipher()
      words[i] = this.#left
      words[i + 1] = this.#right
    }
  }

  wipe(): void {
    this.#subkeys.fill(0)
    this.#boxes.fill(0)
    this.#left = 0
    this.#right = 0
  }

  #refill(words: Int32Array, salt: Int32Array, saltAt: number): number {
    let at = saltAt
    const salted = salt.length > 0
    for (let i = 0; i < words.length; i += 2) {
      if (salted) {
        this.#left ^= word(salt, at)
        this.#right ^= word(salt, at + 1)
        at = (at + 2) % salt.length
      }
      this.#encipher()
      words[i] = this.#left
      words[i + 1] = this.#right
    }
    return at
  }

  #encipher(): void {
    const p = this.#subkeys
    const s = this.#boxes
    let l = this.#left ^ word(p, 0)
    let r = this.#right
    for (let i = 1; i < 17; i += 2) {
      r ^=
        word(p, i) ^
        ((((word(s, l >>> 24) + word(s, 256 + ((l >>> 16) & 255))) ^ word(s, 512 + ((l >>> 8) & 255))) +
          word(s, 768 + (l & 255))) |
          0)
      l ^=
        word(p, i + 1) ^
        ((((word(s, r >>> 24) + word(s, 256 + ((r >>> 16) & 255))) ^ word(s, 512 + ((r >>> 8) & 255))) +
          word(s, 768 + (r & 255))) |
          0)
    }
    this.#left = r ^ word(p, 17)
    this.#right = l
  }
}

const NO_SALT = new Int32Array(0)

/** Every index here is within bounds by construction; the cast spares the hot loop a check. */
function word(words: Int32Array, index: number): number {
  return words[index] as number
}
