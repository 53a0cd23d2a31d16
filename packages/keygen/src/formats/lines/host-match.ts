import { createHmac, randomBytes } from 'node:crypto'
import type { Hosts } from './known-hosts.js'

/** How a host stands in known_hosts: in small letters, with its port in brackets unless it is 22. */
export function nameOfHost(host: string, port: number): string {
  const name = host.toLowerCase()
  return port === 22 ? name : `[${name}]:${port}`
}

/** Whether a line is about this name. A pattern that begins with `!` and fits rules the whole line out. */
export function matchesHost(hosts: Hosts, name: string): boolean {
  if ('hash' in hosts) return hashName(name, hosts.salt).equals(hosts.hash)
  const fits = (pattern: string) => matchesPattern(pattern.toLowerCase(), name)
  if (hosts.patterns.some(pattern => pattern.startsWith('!') && fits(pattern.slice(1)))) return false
  return hosts.patterns.some(pattern => !pattern.startsWith('!') && fits(pattern))
}

/** The name hidden, as `ssh-keygen -H` writes it. */
export function hideName(name: string, salt: Buffer = randomBytes(20)): string {
  return `|1|${salt.toString('base64')}|${hashName(name, salt).toString('base64')}`
}

function hashName(name: string, salt: Buffer): Buffer {
  return createHmac('sha1', salt).update(name).digest()
}

const STAR = 0x2a
const ANY = 0x3f

/**
 * `*` for any run of bytes, `?` for one: OpenSSH counts bytes, so `?` fits no letter beyond ASCII. Only the last star is
 * ever gone back to, so the time stays bounded.
 */
export function matchesPattern(pattern: string, text: string): boolean {
  return matchesBytes(Buffer.from(pattern), Buffer.from(text))
}

function matchesBytes(pattern: Buffer, text: Buffer): boolean {
  let [p, t, star, mark] = [0, 0, -1, 0]
  while (t < text.length) {
    if (pattern[p] === STAR) {
      star = p++
      mark = t
    } else if (p < pattern.length && (pattern[p] === ANY || pattern[p] === text[t])) {
      p++
      t++
    } else if (star !== -1) {
      p = star + 1
      t = ++mark
    } else {
      return false
    }
  }
  while (pattern[p] === STAR) p++
  return p === pattern.length
}
