import { damagedAt, type KeytoolError } from '../../error.js'

/** A JSON value. Objects keep the order of their members, and no name is special. */
export type Json = string | number | boolean | null | readonly Json[] | JsonObject
export type JsonObject = ReadonlyMap<string, Json>

/** No JWK goes deeper than a set's list of keys with lists in them. */
const MAX_DEPTH = 8
/** Far above a set of many keys with certificates. In bytes. */
const MAX_SIZE = 1 << 20
const WORD = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null/y

/**
 * Reads JSON (RFC 8259) more strictly than `JSON.parse`: a member that stands twice is refused, as each of two readers
 * might take another one; so is a name spelt with escapes, and deep nesting.
 * @throws KeytoolError `damaged` with the offset
 */
export function parseJson(bytes: Buffer): Json {
  if (bytes.length > MAX_SIZE) throw damagedAt('the file is too large to hold keys', MAX_SIZE)
  const parser = new Parser(decode(bytes))
  const value = parser.value(0)
  parser.end()
  return value
}

function decode(bytes: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    throw damagedAt('the JSON is not UTF-8', 0)
  }
}

class Parser {
  readonly #text: string
  #at = 0

  constructor(text: string) {
    this.#text = text
  }

  value(depth: number): Json {
    if (depth > MAX_DEPTH) throw this.#fail(`the JSON is nested more than ${MAX_DEPTH} deep`)
    const first = this.#skipBlanks()
    if (first === '{') return this.#object(depth)
    if (first === '[') return this.#list(depth)
    if (first === '"') return this.#string()
    WORD.lastIndex = this.#at
    const word = WORD.exec(this.#text)?.[0]
    if (word === undefined) throw this.#fail('a JSON value is missing')
    this.#at += word.length
    return JSON.parse(word) as number | boolean | null
  }

  /** Throws unless only white space is left. */
  end(): void {
    if (this.#skipBlanks() !== '') throw this.#fail('there is more after the JSON')
  }

  #object(depth: number): JsonObject {
    const members = new Map<string, Json>()
    this.#each('}', () => {
      if (this.#skipBlanks() !== '"') throw this.#fail('the name of a member is missing')
      const start = this.#at
      const name = this.#string()
      if (this.#text.slice(start + 1, this.#at - 1) !== name) throw this.#fail('a name is spelt with escapes', start)
      if (members.has(name)) throw this.#fail('a member stands twice', start)
      if (this.#skipBlanks() !== ':') throw this.#fail('a colon is missing')
      this.#at++
      members.set(name, this.value(depth + 1))
    })
    return members
  }

  #list(depth: number): Json[] {
    const items: Json[] = []
    this.#each(']', () => void items.push(this.value(depth + 1)))
    return items
  }

  /** What stands between the bracket here and its partner, with commas between. */
  #each(close: string, read: () => void): void {
    this.#at++
    if (this.#skipBlanks() === close) {
      this.#at++
      return
    }
    for (;;) {
      read()
      const next = this.#skipBlanks()
      if (next !== ',' && next !== close) throw this.#fail(`a comma or "${close}" is missing`)
      this.#at++
      if (next === close) return
    }
  }

  #string(): string {
    const start = this.#at
    let end = start + 1
    while (end < this.#text.length && this.#text[end] !== '"') end += this.#text[end] === '\\' ? 2 : 1
    this.#at = Math.min(end + 1, this.#text.length)
    try {
      return JSON.parse(this.#text.slice(start, end + 1)) as string
    } catch {
      throw this.#fail('a string of the JSON does not end, or is none', start)
    }
  }

  /** The next character that is not white space; empty at the end. */
  #skipBlanks(): string {
    for (;;) {
      const next = this.#text.charAt(this.#at)
      if (next !== ' ' && next !== '\t' && next !== '\n' && next !== '\r') return next
      this.#at++
    }
  }

  #fail(message: string, at = this.#at): KeytoolError {
    return damagedAt(message, Buffer.byteLength(this.#text.slice(0, at)))
  }
}
