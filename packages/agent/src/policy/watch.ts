import { type FSWatcher, unwatchFile, watch, watchFile } from 'node:fs'
import { basename, dirname } from 'node:path'
import { isKeytoolError, KeytoolError } from '@keytool/keygen'
import type { Policy } from './policy.js'
import { loadPolicy } from './store.js'

export interface WatchOptions {
  /** For `~/`. */
  readonly home: string
  /** Called with a policy that differs from the one before. */
  readonly onChange: (policy: Policy) => void
  /**
   * Called whenever the file was read, with all that is wrong with it: nothing, one error for a file that can't be
   * followed, where the old policy goes on, or one for each rule that can't be followed wholly.
   */
  readonly onTroubles: (errors: readonly KeytoolError[]) => void
  /** How long a file has to be left alone before it is read, in milliseconds. Default 200: editors write in several steps. */
  readonly delay?: number
  /** How often the file is looked at besides, in milliseconds. Default 5000. */
  readonly interval?: number
}

/** A policy that follows its file. It keeps no process alive. */
export interface PolicyWatch {
  readonly current: Policy
  /** When the file that says it was written or put in its place, in milliseconds since 1970; 0 without one. */
  readonly changed: number
  /** Reads the file now, and the keys that its rules name. Never rejects: see {@link WatchOptions.onTroubles}. */
  reload(): Promise<void>
  close(): void
}

/**
 * Reads a policy and goes on reading it when it changes. A file that is not there is the default policy, and so is one
 * that was taken away.
 * @throws KeytoolError as `loadPolicy`, when what is there at first can't be followed: nothing is guessed then
 */
export async function watchPolicy(path: string, options: WatchOptions): Promise<PolicyWatch> {
  const { home, onChange, onTroubles, delay = 200, interval = 5000 } = options
  const first = await loadPolicy(path, home)
  onTroubles(first.troubles)
  let { policy: current, changed } = first
  let isClosed = false

  async function load(): Promise<void> {
    try {
      const { policy, troubles, ...loaded } = await loadPolicy(path, home)
      if (isClosed) return
      onTroubles(troubles)
      if (JSON.stringify(policy) === JSON.stringify(current)) return
      current = policy
      changed = loaded.changed
      onChange(policy)
    } catch (error) {
      if (!isClosed) onTroubles([goesOn(isKeytoolError(error) ? error : unread(path, error))])
    }
  }

  let turn = Promise.resolve()
  // One after the other, so that the last one counts.
  const reload = () => {
    turn = turn.then(load)
    return turn
  }
  let timer: NodeJS.Timeout | undefined
  const reloadSoon = () => {
    clearTimeout(timer)
    timer = setTimeout(reload, delay).unref()
  }
  const watcher = watchFolder(path, reloadSoon)
  // What a folder does not tell of: a link whose end changes, a folder that is made later or lies on another machine.
  watchFile(path, { persistent: false, interval }, reloadSoon)
  // What happened while the first one was read.
  reloadSoon()

  return {
    get current() {
      return current
    },
    get changed() {
      return changed
    },
    reload,
    close() {
      isClosed = true
      clearTimeout(timer)
      watcher?.close()
      unwatchFile(path, reloadSoon)
    },
  }
}

/** The folder, not the file: most editors put a new file in its place. Undefined where there is none to be watched. */
function watchFolder(path: string, onEvent: () => void): FSWatcher | undefined {
  try {
    const name = basename(path)
    const watcher = watch(dirname(path), { persistent: false }, (_event, file) => {
      if (file === null || file === name) onEvent()
    })
    watcher.on('error', () => watcher.close())
    return watcher
  } catch {
    return undefined
  }
}

/** A file that is wrong, of an agent that runs. */
function goesOn(cause: KeytoolError): KeytoolError {
  const { code, message, reason } = cause
  const still = 'what it said before still holds'
  return new KeytoolError(code, message, { reason: reason === undefined ? still : `${reason}; ${still}`, cause })
}

function unread(path: string, cause: unknown): KeytoolError {
  return new KeytoolError('failed', `${path} can't be followed`, { cause })
}
