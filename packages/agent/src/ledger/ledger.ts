import { isKeytoolError } from '@keytool/keygen'
import { explain } from '../platform/file-trouble.js'
import { makeFolder } from '../platform/folders.js'
import { checkFolder } from '../platform/place-check.js'
import { GENESIS, type Link } from './chain.js'
import type { LedgerEntry } from './entry.js'
import { type Disk, refusal, systemDisk } from './files.js'
import { openLedger } from './open.js'
import { type LedgerLimits, type Queued, Store } from './store.js'

export interface LedgerOptions {
  /**
   * Absolute. One agent's alone: two that wrote into one folder would each take the other's lines for forged. See
   * `ledgerFolder`.
   */
  readonly folder: string
  /** Milliseconds since 1970. */
  readonly now?: () => number
  readonly limits?: Partial<LedgerLimits>
  readonly disk?: Disk
}

/** What the agent has done, for later. It never stands in the agent's way: what can't be written is counted and said. */
export interface Ledger {
  /** Costs microseconds, and never throws. It is written at the end of this turn, or some milliseconds later where many come. */
  write(entry: LedgerEntry): void
  /** Writes what waits, and seals it, now. */
  flush(): void
  /** How many lines there are and the hash of the last one, written before this is answered. For `verifyLedger`. */
  readonly head: Link
  /** Why entries are being lost, and how many are; undefined while all is well. */
  readonly trouble: string | undefined
  /** Writes and syncs what is left. Afterwards nothing is written any more. */
  close(): Promise<void>
}

const LIMITS: LedgerLimits = { fileSize: 4 * 1024 * 1024, files: 8 }
/** So many entries are written without waiting for the end of the turn. */
const BATCH = 1000
/** So many wait while the files are being opened. */
const MAX_WAITING = 10_000
/** How long nothing is tried after a failure, in ms. */
const PATIENCE = 1000
/** How long lines may wait for others while many come, in ms. */
const WRITE_PAUSE = 5
/** How long lines may stand unsealed while many come. A head for each would cost more than the line. In ms. */
const SEAL_PAUSE = 20
/** What a power cut may take, in ms. */
const SYNC_PAUSE = 5000

/**
 * Opens the ledger in a folder, 0700, or begins one.
 *
 * A disk that is full or a folder that can't be written is no reason not to run: the ledger is there, says its trouble, and
 * tries again.
 * @throws KeytoolError `refused` where a link or another user's file stands in the way; `unsupported` for a ledger of a
 * newer version
 */
export async function createLedger(options: LedgerOptions): Promise<Ledger> {
  const ledger = new ChainedLedger(options)
  await ledger.start()
  return ledger
}

class ChainedLedger implements Ledger {
  readonly #folder: string
  readonly #now: () => number
  readonly #limits: LedgerLimits
  readonly #disk: Disk
  #queue: Queued[] = []
  #store: Store | undefined
  #opening: Promise<void> | undefined
  /** The last line of a store that is not open any more. */
  #end: Link | undefined
  #failure: { readonly what: string; readonly at: number } | undefined
  #lost = 0
  #isScheduled = false
  #isClosed = false
  #closing: Promise<void> | undefined
  #writtenAt = Number.NEGATIVE_INFINITY
  #sealedAt = Number.NEGATIVE_INFINITY
  #sealTimer: NodeJS.Timeout | undefined
  #syncTimer: NodeJS.Timeout | undefined
  #time = { at: Number.NaN, text: '' }

  constructor({ folder, now = Date.now, limits = {}, disk = systemDisk }: LedgerOptions) {
    this.#folder = folder
    this.#now = now
    this.#limits = { ...LIMITS, ...limits }
    this.#disk = disk
  }

  async start(): Promise<void> {
    try {
      await this.#open()
    } catch (error) {
      if (isKeytoolError(error) && (error.code === 'refused' || error.code === 'unsupported')) throw error
      this.#fail(error)
    }
    this.flush()
    // The first entry needn't wait for its seal.
    this.#sealedAt = Number.NEGATIVE_INFINITY
  }

  write(entry: LedgerEntry): void {
    if (this.#isClosed) return
    this.#queue.push({ entry, time: this.#timeNow() })
    if (this.#queue.length >= BATCH) this.#flush(false)
    if (this.#isScheduled || this.#queue.length === 0) return
    this.#isScheduled = true
    const flush = () => {
      this.#isScheduled = false
      this.#writtenAt = performance.now()
      this.#flush(false)
    }
    // One alone at once, and many by the batch: a call of the system's costs more than the line.
    if (performance.now() - this.#writtenAt < WRITE_PAUSE) setTimeout(flush, WRITE_PAUSE)
    else setImmediate(flush)
  }

  flush(): void {
    this.#flush(true)
  }

  #flush(isSealed: boolean): void {
    if (this.#isClosed) return
    if (this.#opening) this.#lose(this.#queue.length - MAX_WAITING)
    else if (!this.#isPatienceOver) this.#lose(this.#queue.length)
    else if (this.#store) this.#writeTo(this.#store, isSealed)
    else this.#reopen()
  }

  get head(): Link {
    this.flush()
    const { count, hash } = this.#store?.end ?? this.#end ?? GENESIS
    return { count, hash }
  }

  get trouble(): string | undefined {
    if (!this.#failure) return undefined
    const { what } = this.#failure
    return this.#lost === 0 ? what : `${what}; lost so far: ${this.#lost} ${this.#lost === 1 ? 'entry' : 'entries'}`
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    await this.#opening
    // One more try, whenever the last one was.
    if (this.#store) this.#writeTo(this.#store, true)
    await this.#opening
    this.#isClosed = true
    clearTimeout(this.#sealTimer)
    clearTimeout(this.#syncTimer)
    try {
      await this.#store?.close()
    } catch (error) {
      this.#fail(error)
    }
  }

  #writeTo(store: Store, isSealed: boolean): void {
    const sealsNow = isSealed || performance.now() - this.#sealedAt >= SEAL_PAUSE
    if (this.#queue.length === 0 && !this.#failure && store.isSealed) return
    const gap = this.#gap()
    try {
      if (sealsNow && store.isChanged) {
        this.#reopen()
        return
      }
      if (gap) this.#queue.unshift(gap)
      store.append(this.#queue)
      if (sealsNow) this.#seal(store)
      else this.#sealLater()
      this.#lost = 0
      this.#failure = undefined
      this.#syncLater(store)
    } catch (error) {
      if (gap && this.#queue[0] === gap) this.#queue.shift()
      else if (gap) this.#lost = 0
      this.#fail(error)
      this.#sealAnyway(store)
    }
  }

  #seal(store: Store): void {
    store.seal()
    this.#sealedAt = performance.now()
  }

  /** What was written before a failure stays: a head takes no room that it does not have. */
  #sealAnyway(store: Store): void {
    try {
      if (!store.isSealed) this.#seal(store)
    } catch {
      // The failure is known, and the next attempt seals, too.
    }
  }

  #sealLater(): void {
    this.#sealTimer ??= setTimeout(() => {
      this.#sealTimer = undefined
      this.flush()
    }, SEAL_PAUSE).unref()
  }

  #gap(): Queued | undefined {
    if (this.#lost === 0) return undefined
    const reason = this.#failure?.what ?? 'they came faster than they could be written'
    return { entry: { action: 'gap', lost: this.#lost, reason }, time: this.#queue[0]?.time ?? this.#timeNow() }
  }

  /** Looks again at what is on the disk, with what this agent knows to be right. Never throws. */
  #reopen(): void {
    this.#opening = this.#letGo()
      .then(() => this.#open())
      .catch(error => this.#fail(error))
      .finally(() => {
        this.#opening = undefined
        this.flush()
      })
  }

  async #open(): Promise<void> {
    await prepareFolder(this.#folder)
    const opened = openLedger(this.#folder, this.#disk, this.#now, this.#end)
    this.#store = new Store(this.#folder, this.#disk, this.#limits, opened)
    // What has been lost until now is written, and then forgotten, with what waits.
    if (this.#failure) this.#failure = { ...this.#failure, at: Number.NEGATIVE_INFINITY }
    if (opened.note) this.#queue.unshift({ entry: opened.note, time: this.#timeNow() })
  }

  async #letGo(): Promise<void> {
    const store = this.#store
    if (!store) return
    this.#end = store.end
    this.#store = undefined
    await store.abandon()
  }

  #fail(error: unknown): void {
    this.#failure = { what: explain(error, this.#folder, 'written').message, at: this.#now() }
    this.#lose(this.#queue.length)
  }

  /** Gives up the oldest entries that wait. */
  #lose(many: number): void {
    if (many > 0) this.#lost += this.#queue.splice(0, many).length
  }

  get #isPatienceOver(): boolean {
    // A clock that was set back must not make it last longer.
    return !this.#failure || Math.abs(this.#now() - this.#failure.at) >= PATIENCE
  }

  #syncLater(store: Store): void {
    this.#syncTimer ??= setTimeout(() => {
      this.#syncTimer = undefined
      void store.sync()
    }, SYNC_PAUSE).unref()
  }

  #timeNow(): string {
    const at = this.#now()
    if (at !== this.#time.at) this.#time = { at, text: new Date(at).toISOString() }
    return this.#time.text
  }
}

async function prepareFolder(folder: string): Promise<void> {
  // The parents before anything is made in them, the folder itself afterwards.
  await checkOwnFolder(folder)
  await makeFolder(folder)
  await checkOwnFolder(folder)
}

async function checkOwnFolder(folder: string): Promise<void> {
  if (process.platform === 'win32') return
  try {
    await checkFolder(folder, false)
  } catch (error) {
    if (!isKeytoolError(error) || error.code !== 'refused') throw error
    throw refusal(folder, error.reason ?? error.message, error.hint)
  }
}
