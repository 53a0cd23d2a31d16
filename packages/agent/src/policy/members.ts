import { isPlain, KeytoolError, showForeign } from '@keytool/keygen'

/**
 * Reads one value of the file, or throws `damaged`.
 * @param at where it stands, for people: `keys[2].lifetime`
 */
export type Read<T> = (value: unknown, at: string) => T

type Rows = Readonly<Record<string, Read<unknown>>>
/** An object of which every member may be left out. */
export type Members<R extends Rows> = { readonly [K in keyof R]?: ReturnType<R[K]> }

/** Terms are sent as a uint32. In seconds. */
const MAX_SECONDS = 0xffff_ffff
const MAX_TEXT = 4096

export const flag: Read<boolean> = (value, at) => {
  if (typeof value === 'boolean') return value
  throw wrong(at, 'is neither true nor false')
}

export const seconds: Read<number> = (value, at) => {
  if (typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= MAX_SECONDS) return value
  throw wrong(at, `is no number of seconds from 1 to ${MAX_SECONDS}`, 'an hour is 3600')
}

/** A text that may be shown as it is, and that fits. `what`: what it should have been; `example`: one that fits. */
export function textThat(fits: (text: string) => boolean, what: string, example: string): Read<string> {
  return (value, at) => {
    if (typeof value === 'string' && value.length <= MAX_TEXT && isPlain(value) && fits(value)) return value
    throw wrong(at, `is not ${what}`, `such as ${JSON.stringify(example)}`)
  }
}

export function oneOf<const T extends string>(...words: readonly T[]): Read<T> {
  return (value, at) => {
    const found = words.find(word => word === value)
    if (found !== undefined) return found
    throw wrong(at, `is none of ${words.map(word => JSON.stringify(word)).join(', ')}`)
  }
}

/** @param least 1 where an empty list could mean all or none */
export function listOf<T>(read: Read<T>, least: number, most: number): Read<readonly T[]> {
  return (value, at) => {
    if (!Array.isArray(value)) throw wrong(at, 'is no list', 'a list stands in [ ]')
    if (value.length < least) throw wrong(at, 'is empty', 'leave it out, or name one')
    if (value.length > most) throw wrong(at, `has more than ${most} items`)
    return value.map((item, index) => read(item, `${at}[${index}]`))
  }
}

/** One row a member. What has no row is refused: a rule that is spelt wrong would be no rule. */
export function objectOf<R extends Rows>(rows: R): Read<Members<R>> {
  return (value, at) => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) throw wrong(at, 'is no object in { }')
    const found: Record<string, unknown> = {}
    for (const [name, member] of Object.entries(value)) {
      const row = Object.hasOwn(rows, name) ? rows[name] : undefined
      if (!row) throw unknown(name, at, Object.keys(rows))
      found[name] = row(member, at === '' ? name : `${at}.${name}`)
    }
    return found as Members<R>
  }
}

/** `damaged`, naming the member; the file's path is put in front where that is known. */
export function wrong(at: string, message: string, hint?: string): KeytoolError {
  return new KeytoolError('damaged', `${at === '' ? 'the whole' : at} ${message}`, hint === undefined ? {} : { hint })
}

function unknown(name: string, at: string, names: readonly string[]): KeytoolError {
  const shown = JSON.stringify(showForeign(name, 64))
  const message = at === '' ? `there is no member ${shown}` : `${at} has no member ${shown}`
  return new KeytoolError('damaged', message, { hint: `there are ${names.join(', ')}` })
}
