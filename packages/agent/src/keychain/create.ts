import { isUtf8 } from 'node:buffer'
import { KeytoolError } from '@keytool/keygen'
import { withdrawn } from '../unlock/prompter.js'
import { Turns } from '../unlock/turns.js'
import { isSilent } from './answers.js'
import { checkFingerprint, readEntry } from './entries.js'
import { MAX_PASSPHRASE, packFrame } from './frame.js'
import type { Keychain, KeychainEntry, KeychainOptions, KeychainState } from './keychain.js'
import { askChild, type Child, endChild, hasEnded, holdFor, startChild } from './run-child.js'

const TIMEOUT = 5000
/** How long a child waits that was started before anybody asked. In milliseconds. */
const READY = 10_000
const STATES: readonly string[] = ['unlocked', 'locked']

/**
 * The system's keychain, by way of a child that lives for one request: see `main.ts`. Requests are made one after the
 * other, and the time that one waits for its turn counts: when the keychain hangs, all who wait are told together.
 */
export function createKeychain({ program, env, timeout = TIMEOUT }: KeychainOptions): Keychain {
  const turns = new Turns(1)
  let ready: { readonly child: Child; readonly timer: NodeJS.Timeout } | undefined

  /** The one that is ready, or a new one. */
  function takeChild(): Child {
    const taken = ready
    dropReady()
    if (!taken || hasEnded(taken.child)) return startChild(program, env)
    holdFor(taken.child, true)
    return taken.child
  }

  /** Whoever asks is told what is wrong. */
  function startIfPossible(): Child | undefined {
    try {
      return startChild(program, env)
    } catch {
      return undefined
    }
  }

  function dropReady(): void {
    clearTimeout(ready?.timer)
    ready = undefined
  }

  /** The answer's fields, the caller's to wipe. Wipes the request. */
  async function ask(fields: readonly (string | Uint8Array)[], signal?: AbortSignal): Promise<Buffer[]> {
    const request = packFrame(fields.map(field => (typeof field === 'string' ? Buffer.from(field) : field)))
    const ended = new AbortController()
    const timer = setTimeout(() => ended.abort(isSilent(`it gave no answer in ${timeout / 1000} s`)), timeout)
    const leave = () => ended.abort(withdrawn())
    signal?.addEventListener('abort', leave, { once: true })
    try {
      if (signal?.aborted) throw withdrawn()
      return await turns.take({}, ended.signal, () => askChild(takeChild(), request, ended.signal))
    } catch (error) {
      throw ended.signal.aborted ? ended.signal.reason : error
    } finally {
      clearTimeout(timer)
      signal?.removeEventListener('abort', leave)
      request.fill(0)
    }
  }

  return {
    prepare() {
      if (ready) return
      const child = startIfPossible()
      if (!child) return
      const give = () => {
        dropReady()
        endChild(child)
      }
      holdFor(child, false)
      ready = { child, timer: setTimeout(give, READY).unref() }
    },
    async state() {
      try {
        const [state] = await ask(['state'])
        return STATES.includes(String(state)) ? (String(state) as KeychainState) : 'none'
      } catch {
        return 'none'
      }
    },
    async find(fingerprint, signal) {
      const [passphrase] = await ask(['find', checkFingerprint(fingerprint)], signal)
      return passphrase
    },
    async store(entry, passphrase) {
      const checked = readEntry(entry)
      if (!checked) throw new KeytoolError('usage', 'that is no entry of the keychain')
      checkPassphrase(passphrase)
      await ask(['store', JSON.stringify(checked), passphrase])
    },
    async forget(fingerprint) {
      return (await ask(['forget', checkFingerprint(fingerprint)])).length > 0
    },
    async list() {
      const [json] = await ask(['list'])
      return readList(String(json))
    },
  }
}

/** Keychains keep texts, and some of them end one at its first zero byte. */
function checkPassphrase(passphrase: Uint8Array): void {
  const { length } = passphrase
  if (length > 0 && length <= MAX_PASSPHRASE && isUtf8(passphrase) && !passphrase.includes(0)) return
  throw new KeytoolError('unsupported', 'this passphrase can not be kept in a keychain', {
    reason: length > MAX_PASSPHRASE ? 'it is too long' : 'it is not text in UTF-8',
  })
}

function readList(json: string): KeychainEntry[] {
  try {
    const value: unknown = JSON.parse(json)
    if (Array.isArray(value)) return value.flatMap(each => readEntry(each) ?? [])
  } catch {
    // Told below.
  }
  throw new KeytoolError('damaged', "the keychain's list of our entries can't be read")
}
