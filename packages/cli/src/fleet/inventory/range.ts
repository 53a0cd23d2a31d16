import { isIPv6 } from 'node:net'
import { showForeign } from '@keytool/keygen'
import { InventoryError } from './inventory.js'

/** Names that one pattern may stand for. */
const MAX_NAMES = 10_000
const LETTERS = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ'

/**
 * A host as an inventory writes it: `web1`, `web1:2222`, `[2001:db8::1]:22`, and ranges such as `web[01:50:2].example`,
 * `db-[a:f]`, several of them too.
 * @throws InventoryError
 */
export function expandPattern(pattern: string, line?: number): { names: readonly string[]; port?: number } {
  const [, bracketed, bracketedPort] = /^\[([0-9a-f:.]+)\](?::(\d+))?$/i.exec(pattern) ?? []
  if (bracketed !== undefined && isIPv6(bracketed)) {
    return { names: [bracketed], ...readPort(bracketedPort) }
  }
  // The name itself has a colon in brackets only, so that an address of IPv6 is none with a port.
  const [, name, port] = /^((?:[^:[\]]|\[[^\]]*\])*):(\d+)$/.exec(pattern) ?? []
  const whole = name ?? pattern
  if (whole.endsWith(':') && !isIPv6(whole)) {
    throw new InventoryError(
      `${JSON.stringify(showForeign(pattern, 64))} ends in a colon, behind which a port stands`,
      line,
    )
  }
  return { names: whole.includes('[') ? expand(whole, line) : [whole], ...readPort(port) }
}

function readPort(text: string | undefined): { port?: number } {
  return text === undefined ? {} : { port: Number(text.slice(0, 10)) }
}

function expand(pattern: string, line: number | undefined): string[] {
  let names = ['']
  let rest = pattern
  for (;;) {
    const [, head, range, tail] = /^([^[\]]*)\[([^[\]]*)\](.*)$/s.exec(rest) ?? []
    if (head === undefined || range === undefined || tail === undefined) {
      if (/[[\]]/.test(rest)) throw new InventoryError(`${JSON.stringify(showForeign(pattern, 64))} is no range`, line)
      return names.map(name => name + rest)
    }
    const steps = readRange(range, line)
    if (names.length * steps.length > MAX_NAMES) {
      throw new InventoryError(`${showForeign(pattern, 64)} stands for more than ${MAX_NAMES} hosts`, line)
    }
    names = names.flatMap(name => steps.map(step => name + head + step))
    rest = tail
  }
}

/** `01:50`, `a:f`, `1:9:2`; the first number may be left out. Both ends are in it. */
function readRange(text: string, line: number | undefined): string[] {
  const bad = (why: string) => new InventoryError(`the range [${showForeign(text, 64)}] ${why}`, line)
  const [from = '', to = '', by = '1', ...more] = text.split(':')
  if (to === '' || more.length > 0) throw bad('is not written [first:last] or [first:last:step]')
  const step = /^\d{1,9}$/.test(by) ? Number(by) : 0
  if (step < 1) throw bad('has a step that is no number above 0')
  const [first, last] = [LETTERS.indexOf(from), LETTERS.indexOf(to)]
  if (from.length === 1 && to.length === 1 && first >= 0 && last >= 0) {
    if (first > last) throw bad('ends before it begins')
    return [...LETTERS.slice(first, last + 1)].filter((_, i) => i % step === 0)
  }
  if (!/^\d{0,9}$/.test(from) || !/^\d{1,9}$/.test(to)) throw bad('is not of numbers, nor of single letters')
  const width = from.length > 1 && from.startsWith('0') ? from.length : 0
  if (width > 0 && width !== to.length) throw bad('has ends of different lengths')
  const [low, high] = [Number(from), Number(to)]
  const count = high < low ? 0 : Math.floor((high - low) / step) + 1
  if (count > MAX_NAMES) throw bad(`stands for more than ${MAX_NAMES} hosts`)
  return Array.from({ length: count }, (_, i) => String(low + i * step).padStart(width, '0'))
}
