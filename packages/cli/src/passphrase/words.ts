import { KeytoolError } from '@keytool/keygen'

/** Six words of 2048 are 66 bits. At the speed that strength.ts assumes, trying them all takes two hundred million years. */
const FEWEST = 6
/** 264 bits, more than any key that it protects. */
const MOST = 24

export interface GeneratedPassphrase {
  /** Lower-case words of three to eight letters, joined by hyphens. No word has a hyphen in it. */
  readonly text: string
  /** What an attacker who knows the list and the count has to guess. */
  readonly bits: number
}

/**
 * A passphrase of words that are easy to say, type and remember, each drawn on its own: the same word may come twice.
 *
 * The list is BIP-39's English one: 2048 words, 11 bits each, of which no two share their first four letters.
 * @param words 6 to 24
 * @param random a whole number from 0 up to, not including, its argument, each as likely as the others; default:
 *   node:crypto's `randomInt`
 * @throws KeytoolError `usage` for another count
 */
export async function generatePassphrase(
  words: number = FEWEST,
  random?: (below: number) => number,
): Promise<GeneratedPassphrase> {
  if (!Number.isInteger(words) || words < FEWEST || words > MOST) {
    throw new KeytoolError('usage', `a generated passphrase has ${FEWEST} to ${MOST} words, not ${words}`)
  }
  const { wordlist } = await import('@scure/bip39/wordlists/english.js')
  const draw = random ?? (await import('node:crypto')).randomInt
  const drawn = Array.from({ length: words }, () => wordlist[draw(wordlist.length)])
  return { text: drawn.join('-'), bits: words * Math.log2(wordlist.length) }
}
