import { resolve } from 'node:path'
import { isKeytoolError, KeytoolError } from '@keytool/keygen'
import type { Client } from '../agent.js'
import { Jobs } from '../ring/jobs.js'
import { dialAgent, isPipe, isSamePlace } from './place.js'
import type { Source, UpstreamConnection } from './source.js'
import { type UpstreamView, View } from './view.js'

export type { UpstreamConnection, UpstreamView }

export interface UpstreamOptions {
  /** The other agent's socket or pipe. */
  readonly path: string
  /** Our own, which it may not be. */
  readonly own?: string
  /** Whether a key is ours: then it is not the other agent's, whatever that one says. Default: none is. */
  readonly holds?: (blob: Buffer) => boolean
  /** Milliseconds that connecting and a list may take. A signature takes as long as somebody waits for it. Default: 3000. */
  readonly timeout?: number
  /** Hears of it when {@link Upstream.trouble} changes. */
  readonly onTrouble?: (trouble: string | undefined) => void
  /** How it is reached. Default: where `checkPlace` says that nobody but the user can answer. */
  readonly dial?: (path: string) => Promise<UpstreamConnection>
  /** In milliseconds, from any point on. */
  readonly now?: () => number
}

/** The keys of another agent: a hardware agent's, a password manager's. */
export interface Upstream {
  readonly path: string
  /** Why it gave no keys, or not all, when it was last asked. Fit to be shown. */
  readonly trouble: string | undefined
  /** What one client has of it. The same object gets the same view until that is closed. */
  forCaller(key: object): UpstreamView
  /** Closes all views. */
  close(): void
}

const TIMEOUT = 3_000
/** How long one that was slow, or lied, is left alone: otherwise each login would wait for it anew. In milliseconds. */
const REST = 10_000
/**
 * Lists under way together, and how long a further one waits for its turn, in milliseconds.
 *
 * They bound what becomes of a ring of agents that ask each other. Each list causes the next one there, all of them wait for
 * the last: it is told that there is nothing, long before the first one's time is up, and all others are answered.
 */
const LISTS_AT_ONCE = 8
const TURN = 500
const SIGNATURES_AT_ONCE = 64

/**
 * @throws KeytoolError `refused` when it would be this agent itself
 */
export function createUpstream(options: UpstreamOptions): Upstream {
  return new OtherAgent(options)
}

class OtherAgent implements Upstream, Source {
  readonly path: string
  readonly timeout: number
  readonly now: () => number
  readonly holds: (blob: Buffer) => boolean
  readonly #own: string | undefined
  readonly #dial: (path: string) => Promise<UpstreamConnection>
  readonly #onTrouble: (trouble: string | undefined) => void
  readonly #views = new Map<object, View>()
  readonly #lists = new Jobs(LISTS_AT_ONCE)
  #signatures = 0
  #restsUntil = Number.NEGATIVE_INFINITY
  #trouble: string | undefined

  constructor(options: UpstreamOptions) {
    const { path, own, holds = () => false, timeout = TIMEOUT, onTrouble = () => undefined } = options
    this.path = isPipe(path) ? path : resolve(path)
    this.#own = own
    this.holds = holds
    this.timeout = timeout
    this.now = options.now ?? (() => performance.now())
    this.#dial = options.dial ?? dialAgent
    this.#onTrouble = onTrouble
    this.#checkOther()
  }

  get trouble(): string | undefined {
    return this.#trouble
  }

  get rests(): boolean {
    return this.now() < this.#restsUntil
  }

  forCaller(key: object): UpstreamView {
    const known = this.#views.get(key)
    if (known) return known
    const view = new View(this, () => this.#views.delete(key))
    this.#views.set(key, view)
    return view
  }

  close(): void {
    for (const view of [...this.#views.values()]) view.close()
  }

  dial(): Promise<UpstreamConnection> {
    // Links and sockets may have changed since the start.
    this.#checkOther()
    return this.#dial(this.path)
  }

  tell(trouble: string | undefined): void {
    if (trouble === this.#trouble) return
    this.#trouble = trouble
    this.#onTrouble(trouble)
  }

  /** Something of it failed. Only who is slow, or lies, is left alone: one that is merely away says so at once. */
  tellError(error: unknown, rest = isLie(error)): void {
    if (rest) this.#restsUntil = this.now() + REST
    this.tell(explain(error, this.path))
  }

  /** Lists one after the other, as far as they are too many. Rejects with `unreachable` when its turn does not come. */
  inTurn<T>(client: Client, work: () => Promise<T>): Promise<T> {
    let state: 'waiting' | 'begun' | 'late' = 'waiting'
    return new Promise((done, fail) => {
      const timer = setTimeout(() => {
        if (state !== 'waiting') return
        state = 'late'
        fail(this.failure('unreachable', 'has too many lists to make', 'two agents may be asking each other'))
      }, TURN)
      const place: Client = {
        get gone() {
          return state === 'late' || client.gone
        },
      }
      const begin = () => {
        state = 'begun'
        clearTimeout(timer)
        return work()
      }
      this.#lists.run(place, begin).then(done, error => {
        clearTimeout(timer)
        fail(error)
      })
    })
  }

  async countSignature<T>(work: () => Promise<T>): Promise<T> {
    if (this.#signatures >= SIGNATURES_AT_ONCE) throw this.failure('refused', 'has too much to sign')
    this.#signatures++
    try {
      return await work()
    } finally {
      this.#signatures--
    }
  }

  failure(code: 'refused' | 'unreachable' | 'damaged', what: string, reason?: string): KeytoolError {
    return new KeytoolError(code, `the agent behind, at ${this.path}, ${what}`, reason ? { reason } : {})
  }

  #checkOther(): void {
    if (this.#own === undefined || !isSamePlace(this.path, this.#own)) return
    throw new KeytoolError('refused', `${this.path} is this agent's own place`, {
      reason: "an agent's upstream is another agent",
      hint: 'name the socket of the other one',
    })
  }
}

function isLie(error: unknown): boolean {
  return isKeytoolError(error) && error.code === 'damaged'
}

function explain(error: unknown, path: string): string {
  const { message, reason } = error as KeytoolError
  // An agent's client does not know whose agent it is.
  const what = message === `no agent answers at ${path}` ? `the agent behind does not answer at ${path}` : message
  return reason ? `${what}: ${reason}` : what
}
