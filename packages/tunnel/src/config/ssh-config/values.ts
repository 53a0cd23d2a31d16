import type { Line } from './line.js'
import { quote } from './place.js'

/** Reads the value of a line. `undefined` is a word that says nothing, such as `none` for a time. */
export type ReadValue<T> = (line: Line) => T | undefined

/** Words that stand for a value, in any case. */
export function choice<T>(values: Readonly<Record<string, T>>): ReadValue<T> {
  const table = new Map(Object.entries(values))
  return ({ words }) => {
    const word = words.need()
    const value = table.get(word.toLowerCase())
    if (value === undefined) throw words.fail(`${quote(word)} is not one of ${[...table.keys()].join(', ')}`)
    return value
  }
}

export const flag: ReadValue<boolean> = choice({ yes: true, no: false, true: true, false: false })

export const YES_NO_ASK = { yes: 'yes', no: 'no', ask: 'ask', true: 'yes', false: 'no' } as const

export const yesNoAsk: ReadValue<'yes' | 'no' | 'ask'> = choice(YES_NO_ASK)

export const text: ReadValue<string> = ({ words }) => words.need()

const MAX_INTEGER = 2 ** 31 - 1

/** 0 to 2^31 - 1. */
export const integer: ReadValue<number> = ({ words }) => {
  const word = words.need()
  const value = /^\s*\+?\d+$/.test(word) ? Number(word) : Number.NaN
  if (value <= MAX_INTEGER) return value
  throw words.fail(`${quote(word)} is no number`)
}

/** As {@link integer}, from 1 on. */
export const count: ReadValue<number> = line => {
  const value = integer(line)
  if (value === 0) throw line.words.fail('0 is too few')
  return value
}

export const port: ReadValue<number> = ({ words }) => {
  const word = words.need()
  const value = /^\s*\+?\d+$/.test(word) ? Number(word) : Number.NaN
  if (value >= 1 && value <= 65535) return value
  throw words.fail(`${quote(word)} is no port: a number from 1 to 65535 is written here`)
}

const SECONDS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400, w: 604_800 }

/** In seconds (sshd_config(5), TIME FORMATS): `90`, `1h30m`; `none` says nothing. */
export const time: ReadValue<number> = ({ words }) => {
  const word = words.need()
  if (word === 'none') return undefined
  if (!/^(\d+[smhdw])*(\d+)?$/i.test(word)) throw words.fail(`${quote(word)} is no time, such as 90 or 1m30s`)
  let total = 0
  for (const [, amount, unit = 's'] of word.matchAll(/(\d+)([smhdw])?/gi)) {
    total += Number(amount) * (SECONDS[unit.toLowerCase()] ?? 1)
  }
  if (total > MAX_INTEGER) throw words.fail(`${quote(word)} is too long a time`)
  return total
}

/** `none`, one byte, or `^` and a letter for a control character. */
export const escapeChar: ReadValue<string> = ({ words }) => {
  const word = words.need()
  if (word === 'none' || (Buffer.byteLength(word) === 1 && word.length === 1)) return word
  if (/^\^[@-\u007f]$/.test(word)) return String.fromCharCode(word.charCodeAt(1) & 31)
  throw words.fail(`${quote(word)} is no escape character`)
}

const LEVELS = ['QUIET', 'FATAL', 'ERROR', 'INFO', 'VERBOSE', 'DEBUG', 'DEBUG2', 'DEBUG3']

export const logLevel: ReadValue<string> = choice({
  ...Object.fromEntries(LEVELS.map(level => [level.toLowerCase(), level])),
  silent: 'QUIET',
  debug1: 'DEBUG',
})

/** Names with commas between. */
export const names: ReadValue<readonly string[]> = ({ words }) => words.need().split(',')
