import { failAt, type Place, quote, type Said } from './place.js'

/** One line with a keyword, and what is around it. */
export interface Line {
  readonly keyword: string
  /** All behind the keyword, as it stands. */
  readonly rest: string
  readonly words: Words
  readonly place: Place
  /** Whether it is about this host. If not it is checked, and nothing else. */
  readonly active: boolean
}

/** The arguments, taken one after the other: none may be left over. */
export class Words {
  readonly #words: readonly string[]
  readonly #place: Place
  readonly #keyword: string
  #next = 0

  constructor(words: readonly string[], keyword: string, place: Place) {
    this.#words = words
    this.#keyword = keyword
    this.#place = place
  }

  /** The next one, which may be empty; `undefined` at the end. */
  take(): string | undefined {
    return this.#words[this.#next++]
  }

  /** @throws KeytoolError when there is none, or it is empty */
  need(): string {
    const word = this.take()
    if (word === undefined || word === '') throw this.fail('a value is missing')
    return word
  }

  /**
   * One or more, none of them empty. `none` stands alone.
   * @throws KeytoolError
   */
  needList(): Said[] {
    const words = this.rest()
    if (words.length === 0 || words.includes('')) throw this.fail('a value is missing')
    if (words.length > 1 && words.some(word => word.toLowerCase() === 'none')) throw this.fail('none stands alone')
    return words.map(text => ({ text, place: this.#place }))
  }

  /** All that are left. */
  rest(): string[] {
    const words = this.#words.slice(this.#next)
    this.#next = this.#words.length
    return words
  }

  /** @throws KeytoolError when something is left over */
  end(): void {
    const left = this.#words[this.#next]
    if (left !== undefined) throw this.fail(`${quote(left)} is one value too many`)
  }

  fail(reason: string): Error {
    return failAt(this.#place, `${this.#keyword}: ${reason}`)
  }
}

/**
 * A command is the rest of the line as it stands, comment and all.
 * @throws KeytoolError when there is none
 */
export function takeCommand({ rest, words }: Line): string {
  words.rest()
  const text = rest.replace(/^[ \t\r\n=]+/, '')
  if (text === '') throw words.fail('a value is missing')
  return text
}
