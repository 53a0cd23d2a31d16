import { isAbsolute, join, resolve } from 'node:path'
import { isKeytoolError, KeytoolError } from '@keytool/keygen'
import { flag, listOf, type Members, objectOf, oneOf, type Read, seconds, textThat, wrong } from './members.js'
import { defaultPolicy, type KeyRule, type Policy } from './policy.js'

const VERSION = 1
/** Far above any that people write. In bytes. */
export const MAX_POLICY: number = 256 * 1024
const MAX_KEYS = 256
const MAX_NAMES = 256

/** `host` or `[host]:port`, with `*` and `?`. No `!`: what a list forbids is whatever it does not name. */
const HOST = /^(?:[^\s,|!#@[\]-][^\s,|!#@[\]]{0,254}|\[[^\s,|!#@[\]]{1,255}\]:[\d*]{1,5})$/
/** A name has no folder in it: with one it would be neither a name nor a path. */
const NAME = /^[^/\\]{1,255}$/
const FINGERPRINT = /^SHA256:[A-Za-z0-9+/]{43}$/

const fingerprintText = textThat(
  value => FINGERPRINT.test(value),
  'a SHA-256 fingerprint',
  'SHA256:uNiVztksCsDhcc0u9e8BrrJXVGDEqWEBTBRPF0WbGWo',
)
const host = textThat(value => HOST.test(value), 'a host as known_hosts has it', '[*.example.com]:2222')
const program = textThat(
  value => isAbsolute(value) || NAME.test(value),
  'the name or the full path of a program',
  'git',
)

/** One row a member of a rule. */
function ruleRows(home: string) {
  return {
    file: pathIn(home, '~/.ssh/id_ed25519'),
    fingerprint: fingerprintText,
    atLogin: flag,
    remember: flag,
    lifetime: seconds,
    idle: seconds,
    confirm: flag,
    hosts: listOf(host, 1, MAX_NAMES),
    programs: listOf(program, 1, MAX_NAMES),
  } as const satisfies Record<keyof KeyRule, Read<unknown>>
}

/** One row a member of the file. */
function policyRows(home: string) {
  return {
    version: value => value,
    keys: listOf(objectOf(ruleRows(home)), 0, MAX_KEYS),
    lifetime: seconds,
    idle: seconds,
    confirm: flag,
    learn: flag,
    unknownData: oneOf('local', 'never'),
    forwarded: objectOf({ add: flag, remove: flag, lock: flag }),
    sealOn: objectOf({ suspend: flag, screenLock: flag }),
    ledger: flag,
    upstream: pathIn(home, '~/.1password/agent.sock'),
  } as const satisfies Record<keyof Policy | 'version', Read<unknown>>
}

/**
 * The policy in a file, every member checked, and those that it leaves out.
 * @param path for errors
 * @param home for `~/`
 * @throws KeytoolError `unsupported` for a newer version; `damaged`, naming the member or the line, for everything else
 */
export function parsePolicy(bytes: Buffer, path: string, home: string): Policy {
  try {
    const { version: _, forwarded, sealOn, ...given } = readMembers(parseJson(bytes), home)
    checkRules(given.keys ?? [])
    return {
      ...defaultPolicy,
      ...given,
      forwarded: { ...defaultPolicy.forwarded, ...forwarded },
      sealOn: { ...defaultPolicy.sealOn, ...sealOn },
    }
  } catch (error) {
    throw inFile(error, path)
  }
}

/** The file's JSON as an object. Throws `damaged`, naming the line. */
export function parseJson(bytes: Buffer): unknown {
  if (bytes.length > MAX_POLICY) throw new KeytoolError('damaged', `the file is larger than ${MAX_POLICY} bytes`)
  const text = decode(bytes)
  try {
    return JSON.parse(text)
  } catch (cause) {
    const line = lineOfFault(text, (cause as Error).message)
    throw new KeytoolError('damaged', `line ${line} is no JSON`, {
      hint: 'names and texts stand in double quotes, commas between and none behind the last',
      cause,
    })
  }
}

/** The same error, with the file that it is about. */
export function inFile(error: unknown, path: string): unknown {
  if (!isKeytoolError(error)) return error
  const { code, message, reason, hint } = error
  const details = { ...(reason !== undefined && { reason }), ...(hint !== undefined && { hint }), cause: error }
  return new KeytoolError(code, `${path}: ${message}`, details)
}

function readMembers(value: unknown, home: string): Members<ReturnType<typeof policyRows>> {
  // Before the members: a newer version has others.
  const version = typeof value === 'object' && value !== null && 'version' in value ? value.version : undefined
  if (typeof version === 'number' && Number.isInteger(version) && version > VERSION) {
    throw new KeytoolError('unsupported', `it has version ${version}, made for a newer program`, {
      reason: `versions up to ${VERSION} are understood here`,
    })
  }
  const members = objectOf(policyRows(home))(value, '')
  if (version === VERSION) return members
  throw new KeytoolError('damaged', 'version is missing or no version', { hint: `"version": ${VERSION}` })
}

/** What no member can tell by itself. */
function checkRules(rules: readonly KeyRule[]): void {
  for (const [index, { file, fingerprint, atLogin }] of rules.entries()) {
    const at = `keys[${index}]`
    if (file === undefined && fingerprint === undefined)
      throw wrong(at, 'names no key', 'give it "file" or "fingerprint"')
    if (atLogin && file === undefined)
      throw wrong(`${at}.atLogin`, 'needs the file to read', 'give the rule its "file"')
  }
  checkOnce(rules)
}

/** Of two rules about one key neither could be followed. Throws `damaged`. */
export function checkOnce(rules: readonly KeyRule[]): void {
  const first = new Map<string, number>()
  for (const [index, { file, fingerprint }] of rules.entries()) {
    for (const name of [file, fingerprint]) {
      if (name === undefined) continue
      const other = first.get(name)
      if (other !== undefined) throw wrong(`keys[${index}]`, `is about the same key as keys[${other}]`, 'make them one')
      first.set(name, index)
    }
  }
}

function pathIn(home: string, example: string): Read<string> {
  const isPath = (value: string) => value.startsWith('~/') || isAbsolute(value)
  const read = textThat(isPath, 'a path that is absolute or begins with ~/', example)
  return (value, at) => {
    const path = read(value, at)
    return path.startsWith('~/') ? join(home, path.slice(2)) : resolve(path)
  }
}

function decode(bytes: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch (cause) {
    throw new KeytoolError('damaged', 'the file is not UTF-8', { hint: 'save it as UTF-8', cause })
  }
}

/** Counted from 1. JSON.parse tells the place of some faults only; of the others it is where they begin to be told. */
function lineOfFault(text: string, message: string): number {
  const position = / at position (\d+)/.exec(message)?.[1]
  if (position !== undefined) return text.slice(0, Number(position)).split('\n').length
  const lines = text.split('\n')
  let [low, high] = [1, lines.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if (isFaulty(lines.slice(0, middle).join('\n'))) high = middle
    else low = middle + 1
  }
  return low
}

/** Whether no end could make it JSON: a text that is only cut short fails otherwise. */
function isFaulty(text: string): boolean {
  try {
    JSON.parse(text)
    return false
  } catch (error) {
    return (error as Error).message.startsWith('Unexpected token')
  }
}
