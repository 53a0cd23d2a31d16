import { isAbsolute } from 'node:path'
import { KeytoolError } from '@keytool/keygen'
import { MAX_INDEX } from './frame.js'
import type { KeychainEntry } from './keychain.js'

const VERSION = 1
/** What a keychain is asked to keep for us. Its own list of entries is never asked for. */
const MAX_ENTRIES = 1000
const MAX_TEXT = 4096
const FINGERPRINT = /^SHA256:[A-Za-z0-9+/]{43}$/

/** @throws KeytoolError `usage` */
export function checkFingerprint(text: string): string {
  if (FINGERPRINT.test(text)) return text
  throw new KeytoolError('usage', 'that is no fingerprint of a key', { hint: 'it begins with SHA256:' })
}

/** An entry, whatever else stands in the value left out; `undefined` for what is none. */
export function readEntry(value: unknown): KeychainEntry | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  const { fingerprint, comment, file } = value as Record<string, unknown>
  if (typeof fingerprint !== 'string' || !FINGERPRINT.test(fingerprint)) return undefined
  if (typeof comment !== 'string' || comment.length > MAX_TEXT) return undefined
  const isFile = typeof file === 'string' && file.length <= MAX_TEXT && isAbsolute(file)
  return { fingerprint, comment, ...(isFile && { file }) }
}

/**
 * The index, as it lies in the keychain.
 * @throws KeytoolError `damaged`, `unsupported` for one that a newer program has written
 */
export function readIndex(text: string | undefined): KeychainEntry[] {
  if (text === undefined) return []
  const value = parse(text)
  if (typeof value.version === 'number' && value.version > VERSION) {
    throw new KeytoolError('unsupported', "the keychain's list of our entries is made for a newer program")
  }
  if (value.version !== VERSION || !Array.isArray(value.keys) || value.keys.length > MAX_ENTRIES) throw damaged()
  const entries = value.keys.flatMap((each: unknown) => readEntry(each) ?? [])
  return [...new Map(entries.map(entry => [entry.fingerprint, entry])).values()]
}

/** @throws KeytoolError `failed` when there are too many */
export function writeIndex(keys: readonly KeychainEntry[]): string {
  const text = JSON.stringify({ version: VERSION, keys })
  if (keys.length <= MAX_ENTRIES && Buffer.byteLength(text) <= MAX_INDEX) return text
  throw new KeytoolError('failed', 'the keychain keeps too many passphrases for us already', {
    hint: 'keytool keychain forget',
  })
}

function parse(text: string): { readonly version?: unknown; readonly keys?: unknown } {
  try {
    const value: unknown = text.length <= MAX_INDEX ? JSON.parse(text) : undefined
    if (typeof value === 'object' && value !== null) return value
  } catch {
    // Somebody else has written it.
  }
  throw damaged()
}

function damaged(): KeytoolError {
  return new KeytoolError('damaged', "the keychain's list of our entries can't be read", {
    reason: 'the entry `index` of `keytool` in the keychain is not as we have written it',
    hint: 'remove that entry in the program for your keychain, then add the keys with --remember again',
  })
}
