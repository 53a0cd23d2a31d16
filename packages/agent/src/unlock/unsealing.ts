import { isKeytoolError, KeytoolError, type PrivateKey } from '@keytool/keygen'
import { fingerprintOf, type Identity } from '../agent.js'
import type { Use } from '../gates/gate.js'
import { isStale } from '../keychain/answers.js'
import type { SealedKey } from '../sealed.js'
import type { Caller } from '../who.js'
import { askForPassphrase, type HostNames, learnNames, nameKey } from '../wording.js'
import { BackOff } from './back-off.js'
import type { Prompts } from './chain.js'
import { withdrawn } from './prompter.js'

/** What is to be opened: a key of the ring. */
export interface Openable {
  readonly identity: Identity
  readonly sealed: SealedKey | undefined
  /** Where its file lies, where that is known: absolute. */
  readonly file?: string | undefined
  /** Takes the key over. Called once for each time it is opened. */
  open(key: PrivateKey): void
}

/** Passphrases that are kept somewhere, such as a keychain. None of the methods keeps the buffer it is given. */
export interface StoredPassphrases {
  /**
   * One that may fit, for the caller to wipe; `undefined` for a key whose passphrase is not kept there. Rejects where one
   * should be and none is to be had: the error is told to whoever is asked instead.
   */
  find(key: Openable, signal: AbortSignal): Promise<Buffer | undefined>
  /** What came of the one that was found. */
  tried(key: Openable, passphrase: Uint8Array, fits: boolean): void
  /** One that fits, which somebody has typed. */
  keep(key: Openable, passphrase: Uint8Array): void
}

export interface UnsealingOptions {
  readonly prompts: Pick<Prompts, 'passphrase'>
  /** What known_hosts calls a host. */
  readonly names: HostNames
  /** What is tried before the user is asked. */
  readonly stored?: StoredPassphrases
  /** Milliseconds that only grow. */
  readonly clock?: () => number
}

/** Opens sealed keys: one prompt for a key, however many wait for it. */
export interface Unsealing {
  /**
   * Resolves when the key is open. Rejects with `refused` when nobody can be asked, the user does not want to, three
   * passphrases were wrong, or the user has said no a moment ago; `cancelled` when the use's signal is aborted.
   */
  open(key: Openable, use: Use): Promise<void>
  /**
   * Opens with a passphrase that nobody was asked for, for all who wait, and withdraws their prompt. Rejects with
   * `secret-wrong`, which the others do not notice.
   */
  offer(key: Openable, passphrase: Uint8Array): Promise<void>
}

const TRIES = 3

interface Waiting {
  readonly use: Use
  resolve(): void
  reject(error: unknown): void
}

export function createUnsealing(options: UnsealingOptions): Unsealing {
  const openings = new Map<Openable, Opening>()
  const backOff = new BackOff(options.clock)

  function begin(key: Openable, sealed: SealedKey, by: Caller): Opening {
    backOff.check(key.identity, by)
    const opening = new Opening(key, sealed, options, outcome => {
      if (openings.get(key) === opening) openings.delete(key)
      if (outcome === 'opened') backOff.forget(key.identity)
      if (outcome === 'refused') backOff.note(key.identity)
      if (outcome === 'left') backOff.note(key.identity, by)
    })
    openings.set(key, opening)
    return opening
  }

  return {
    async open(key, use) {
      if (use.signal?.aborted) throw withdrawn()
      const sealed = sealedOf(key)
      await (openings.get(key) ?? begin(key, sealed, use.by)).join(use)
    },
    async offer(key, passphrase) {
      const open = await sealedOf(key).open(passphrase)
      options.stored?.keep(key, passphrase)
      const opening = openings.get(key)
      if (opening) opening.succeed(open)
      else {
        key.open(open)
        backOff.forget(key.identity)
      }
    },
  }
}

/** What an opening came to, for the next one: a question that was never put to anybody is no reason to wait. */
type Outcome = 'opened' | 'refused' | 'left' | 'unasked'

/** One time that a key is opened, for all who wait for it. */
class Opening {
  readonly #key: Openable
  readonly #sealed: SealedKey
  readonly #options: UnsealingOptions
  readonly #onEnd: (outcome: Outcome) => void
  /** In the order they came. */
  readonly #waiting = new Set<Waiting>()
  readonly #ended = new AbortController()
  /** Why no stored passphrase has opened it, where one should have. */
  #lack: KeytoolError | undefined

  constructor(key: Openable, sealed: SealedKey, options: UnsealingOptions, onEnd: (outcome: Outcome) => void) {
    this.#key = key
    this.#sealed = sealed
    this.#options = options
    this.#onEnd = onEnd
  }

  join(use: Use): Promise<void> {
    const isFirst = this.#waiting.size === 0
    const joined = new Promise<void>((resolve, reject) => {
      const leave = () => {
        this.#waiting.delete(waiting)
        reject(withdrawn())
        // Nobody is left who wants to know.
        if (this.#waiting.size === 0) this.#end('left', withdrawn())
      }
      const stay = () => use.signal?.removeEventListener('abort', leave)
      const waiting: Waiting = {
        use,
        resolve: () => {
          stay()
          resolve()
        },
        reject: error => {
          stay()
          reject(error)
        },
      }
      this.#waiting.add(waiting)
      use.signal?.addEventListener('abort', leave, { once: true })
    })
    if (isFirst) void this.#work()
    return joined
  }

  /** Takes the key over, and hands it to those who wait. */
  succeed(open: PrivateKey): void {
    // Opened twice at a time, or for nobody any more.
    if (this.#ended.signal.aborted) open.wipe()
    else {
      this.#key.open(open)
      this.#end('opened')
    }
  }

  async #work(): Promise<void> {
    try {
      if (await this.#tryStored()) return
      await this.#ask()
    } catch (error) {
      if (this.#ended.signal.aborted) return
      // Nobody could be asked, or the file is not what it was taken for.
      if (!isKeytoolError(error) || error.code !== 'cancelled') return this.#end('unasked', this.#withLack(error))
      this.#end('refused', this.#refusal(error.message))
    }
  }

  async #tryStored(): Promise<boolean> {
    const { stored } = this.#options
    const { signal } = this.#ended
    const passphrase = await stored?.find(this.#key, signal).catch(error => {
      if (isKeytoolError(error)) this.#lack = error
      return undefined
    })
    if (!stored || !passphrase) return false
    if (signal.aborted) {
      passphrase.fill(0)
      return false
    }
    const fits = await this.#try(passphrase, isRight => stored.tried(this.#key, passphrase, isRight))
    if (!fits) this.#lack = isStale()
    return fits
  }

  async #ask(): Promise<void> {
    const { prompts, names, stored } = this.#options
    const { signal } = this.#ended
    for (let left = TRIES; left > 0; left--) {
      const [waiting] = this.#waiting
      if (!waiting || signal.aborted) return
      const { use } = waiting
      const namesOf = await learnNames(use, names)
      const question = askForPassphrase(this.#key.identity, use, namesOf, left === TRIES ? undefined : left)
      const text = this.#lack && left === TRIES ? `${this.#lack.message}\n${question}` : question
      const passphrase = await prompts.passphrase(use.by, text, signal)
      // No key is encrypted with nothing: that is how many askpass programs say no.
      if (passphrase.length === 0) throw new KeytoolError('cancelled', 'the passphrase was left empty')
      if (await this.#try(passphrase, fits => fits && stored?.keep(this.#key, passphrase))) return
    }
    this.#end('refused', this.#refusal(`the passphrase was wrong ${TRIES} times`))
  }

  /**
   * Whether it fits. Wipes it.
   * @param tell is told before that, unless nobody waits any more
   */
  async #try(passphrase: Buffer, tell: (fits: boolean) => void): Promise<boolean> {
    try {
      const open = await this.#sealed.open(passphrase)
      if (!this.#ended.signal.aborted) tell(true)
      this.succeed(open)
      return true
    } catch (error) {
      if (!isKeytoolError(error) || error.code !== 'secret-wrong') throw error
      tell(false)
      return false
    } finally {
      passphrase.fill(0)
    }
  }

  /** Once. Withdraws the prompt that may stand open. */
  #end(outcome: Outcome, error?: unknown): void {
    if (this.#ended.signal.aborted) return
    this.#ended.abort()
    this.#onEnd(outcome)
    for (const waiting of this.#waiting) {
      if (outcome === 'opened') waiting.resolve()
      else waiting.reject(error)
    }
    this.#waiting.clear()
  }

  /** Nobody can be asked: then what is wrong with the stored passphrase is the other half of the reason. */
  #withLack(error: unknown): unknown {
    const lack = this.#lack
    if (!lack || !isKeytoolError(error) || error.code !== 'refused') return error
    const { identity, file } = this.#key
    return new KeytoolError('refused', `${lack.message}, and ${error.message}`, {
      reason: [lack.reason, error.reason].filter(Boolean).join('; '),
      hint: `keytool unlock ${file ?? fingerprintOf(identity)}`,
      cause: error,
    })
  }

  #refusal(reason: string): KeytoolError {
    return new KeytoolError('refused', `${nameKey(this.#key.identity)} was not opened`, {
      reason,
      hint: 'keytool unlock opens it without being asked',
    })
  }
}

function sealedOf({ identity, sealed }: Openable): SealedKey {
  if (sealed) return sealed
  throw new KeytoolError('refused', `there is no encrypted file of ${nameKey(identity)}`)
}
