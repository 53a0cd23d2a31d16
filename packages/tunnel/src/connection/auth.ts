import { KeytoolError, type PublicKey, type Signer, showForeign } from '@keytool/keygen'
import { AUTH_METHODS, type AuthMethod, isMethod, optionsFor } from './auth-methods.js'
import { findUserTrouble } from './certificate-trouble.js'
import { type OfferedKey, offerKeys } from './offered-keys.js'
import { showPrompt } from './prompt-text.js'

/** How often a password is asked for, as ssh does. */
const TRIES = 3
/** Keyboard-interactive: rounds in one attempt and questions in one round. Real servers need one or two. */
const MAX_ROUNDS = 8
const MAX_PROMPTS = 8

/** One question for the user. Text from the server is already escaped and cut. */
export interface PasswordPrompt {
  readonly kind: 'password' | 'keyboard-interactive'
  readonly user: string
  readonly host: string
  /** The server's own words, on one line; empty for a plain password. */
  readonly text: string
  /** Whether the answer may be seen while it is typed. */
  readonly echo: boolean
  /** 1 for the first time with each method the server wants; higher once an answer was refused. */
  readonly attempt: number
  /** Tries that are left, this one included. */
  readonly left: number
}

/** Gives the answer; throws a KeytoolError (`cancelled`, `secret-needed`) to give up. A buffer is wiped after use. */
export type AskPassword = (prompt: PasswordPrompt) => Promise<string | Buffer>

export interface AuthOptions {
  readonly user: string
  readonly host: string
  /** For hints. Default 22. */
  readonly port?: number
  /**
   * Keys to offer, in this order, each behind its certificates; a function is called once, when the server takes keys.
   * Together with no `askPassword` this means: public key with exactly these.
   */
  readonly signers?: readonly Signer[] | (() => Promise<readonly Signer[]>)
  readonly askPassword?: AskPassword | undefined
  /**
   * Ways to log in that may be used, best first: what ssh_config leaves out is neither tried nor asked for, whatever the
   * server wants. Default: all, public key first.
   */
  readonly methods?: readonly AuthMethod[]
  /** How often a password is asked for (ssh's NumberOfPasswordPrompts), from 0 on. Default 3. */
  readonly tries?: number
  /** The time, in milliseconds from 1970: what a refused certificate is held against. Default: the system's. */
  readonly now?: () => number
}

/** What the server said to the attempt before: RFC 4252 section 5.1. */
export interface Refusal {
  readonly methods: readonly string[]
  readonly partial: boolean
}

export interface Question {
  readonly prompt: string
  readonly echo?: boolean
}

/** What to try next. */
export type Attempt =
  | { readonly method: 'none' }
  | ({ readonly method: 'publickey' } & OfferedKey)
  | { readonly method: 'password'; readonly password: string | Buffer }
  | {
      readonly method: 'keyboard-interactive'
      readonly answer: (questions: readonly Question[]) => Promise<string[]>
    }

/**
 * Decides what to try, one attempt after the other: first `none`, which makes the server name its methods, then every
 * key, then questions, then the password, each only while the server offers it, and in another order where one is given. However it answers, that comes to an
 * end: a key is offered once, and what was asked for is not asked again once it was right, nor after three times.
 */
export class Authentication {
  readonly #options: AuthOptions
  readonly #methods: readonly AuthMethod[]
  #keys: OfferedKey[] | undefined
  #offered: readonly string[] = []
  /** Keys that were offered, and those of their certificates. */
  readonly #tried = new Set<string>()
  readonly #certificates: PublicKey[] = []
  #asked = 0
  #askedInVain = false
  /** The method tried last, and those that were right though not enough. */
  #last: Attempt['method'] = 'none'
  readonly #taken = new Set<AuthMethod>()
  #signError: KeytoolError | undefined

  constructor(options: AuthOptions) {
    this.#options = options
    this.#methods = options.methods ?? AUTH_METHODS
  }

  /** Methods the server named first. */
  get offered(): readonly string[] {
    return this.#offered
  }

  /** A signer could not sign: the attempt is over, and the last error may be the whole story. */
  noteSignError(error: unknown): void {
    this.#signError =
      error instanceof KeytoolError ? error : new KeytoolError('failed', 'the key could not sign', { cause: error })
  }

  /**
   * @param refusal the server's answer to the last attempt; absent before the first
   * @throws KeytoolError `secret-wrong` or `secret-needed` when nothing is left to try, or what a callback threw
   */
  async next(refusal?: Refusal): Promise<Attempt> {
    if (!refusal) return { method: 'none' }
    if (this.#offered.length === 0) this.#offered = refusal.methods
    if (refusal.partial) {
      if (this.#last !== 'none') this.#taken.add(this.#last)
      // A second factor starts with fresh tries.
      this.#asked = 0
    }
    for (const method of this.#methods) {
      const attempt = refusal.methods.includes(method) ? await this.#steps[method]() : undefined
      if (!attempt) continue
      this.#last = attempt.method
      return attempt
    }
    throw this.#giveUp()
  }

  readonly #steps: Readonly<Record<AuthMethod, () => Promise<Attempt | undefined>>> = {
    publickey: () => this.#nextKey(),
    'keyboard-interactive': () => this.#nextQuestions(),
    password: () => this.#nextPassword(),
  }

  async #nextKey(): Promise<Attempt | undefined> {
    const { signers = [] } = this.#options
    this.#keys ??= offerKeys(typeof signers === 'function' ? await signers() : signers)
    const key = this.#keys.shift()
    if (!key) return undefined
    this.#tried.add(key.signer.publicKey.blob.toString('base64'))
    if (key.certificate) this.#certificates.push(key.certificate)
    return { method: 'publickey', ...key }
  }

  async #nextQuestions(): Promise<Attempt | undefined> {
    const { askPassword } = this.#options
    if (!askPassword || this.#askedInVain || !this.#mayAsk('keyboard-interactive')) return undefined
    const before = this.#asked
    let rounds = 0
    // Until it asks something: a server that offers the method but has no question is not asked again.
    this.#askedInVain = true
    return {
      method: 'keyboard-interactive',
      answer: async questions => {
        if (++rounds > MAX_ROUNDS || questions.length > MAX_PROMPTS) {
          throw new KeytoolError('damaged', `${showForeign(this.#options.host)} asks questions without end`)
        }
        this.#askedInVain = false
        this.#asked = before + 1
        const answers: string[] = []
        for (const { prompt, echo = false } of questions) {
          answers.push(String(await this.#ask(askPassword, 'keyboard-interactive', showPrompt(prompt), echo)))
        }
        return answers
      },
    }
  }

  async #nextPassword(): Promise<Attempt | undefined> {
    const { askPassword } = this.#options
    if (!askPassword || !this.#mayAsk('password')) return undefined
    this.#asked++
    return { method: 'password', password: await this.#ask(askPassword, 'password', '', false) }
  }

  #mayAsk(method: PasswordPrompt['kind']): boolean {
    return !this.#taken.has(method) && this.#asked < this.#tries
  }

  get #tries(): number {
    return this.#options.tries ?? TRIES
  }

  #ask(askPassword: AskPassword, kind: PasswordPrompt['kind'], text: string, echo: boolean): Promise<string | Buffer> {
    const { user, host } = this.#options
    const attempt = Math.max(1, this.#asked)
    return askPassword({ kind, user, host, text, echo, attempt, left: this.#tries - attempt + 1 })
  }

  /** What the server takes and may not be used. */
  get #leftOut(): AuthMethod[] {
    const { askPassword } = this.#options
    // Whoever tries a key alone has left the rest out on purpose.
    if (!askPassword && this.#methods.join() === 'publickey') return []
    return this.#offered.filter(isMethod).filter(method => !this.#methods.includes(method))
  }

  #findTrouble(): string | undefined {
    const { user, now = Date.now } = this.#options
    for (const certificate of this.#certificates) {
      const trouble = findUserTrouble(certificate, user, now())
      if (trouble) return trouble
    }
    return undefined
  }

  #giveUp(): KeytoolError {
    const { askPassword } = this.#options
    const [user, host] = [showForeign(this.#options.user), showForeign(this.#options.host)]
    const leftOut = this.#leftOut
    const without = leftOut.length > 0 ? `; ssh_config leaves out ${leftOut.join(', ')}` : ''
    const reason = `it offers ${showForeign(this.#offered.join(', ')) || 'no method at all'}${without}`
    if (this.#asked > 0) {
      const tries = this.#asked === 1 ? '1 try' : `${this.#asked} tries`
      return new KeytoolError('secret-wrong', `the password for ${user}@${host} was refused (${tries})`, { reason })
    }
    if (this.#signError) return this.#signError
    if (this.#taken.size > 0) {
      const taken = [...this.#taken].map(method => proofs[method]).join(' and ')
      return new HalfLogin('secret-wrong', `${host} took ${taken} of ${user}, and wants more`, { reason })
    }
    const { port = 22 } = this.#options
    const hint = `keytool install-pubkey ${port === 22 ? '' : `-p ${port} `}${user}@${host}`
    const { size } = this.#tried
    if (size > 0) {
      const keys = size === 1 ? 'the key' : `all ${size} keys`
      const trouble = this.#findTrouble()
      return new KeytoolError('secret-wrong', `${host} refuses ${keys} offered for ${user}`, {
        reason: trouble ? `of the certificate: ${trouble}; ${reason}` : reason,
        hint: trouble ? 'ask whoever signs certificates for a new one' : hint,
      })
    }
    const [first] = leftOut
    if (first && !this.#offered.some(name => this.#methods.includes(name as AuthMethod))) {
      return new KeytoolError('secret-needed', `${host} takes nothing of ${user} that may be used`, {
        reason,
        hint: `to allow it once: ${optionsFor(first)}`,
      })
    }
    if (!this.#offered.includes('publickey') && !askPassword) {
      return new KeytoolError('secret-needed', `${host} takes no key for ${user}`, { reason })
    }
    return new KeytoolError('secret-needed', `there is no key to offer to ${user}@${host}`, {
      reason,
      hint: 'keytool add KEY',
    })
  }
}

/** What was proved was right, and not enough (RFC 4252 section 5.1): no key was refused. */
export class HalfLogin extends KeytoolError {}

/** What the user proved with each method. */
const proofs: Readonly<Record<AuthMethod, string>> = {
  publickey: 'the key',
  password: 'the password',
  'keyboard-interactive': 'the answers',
}
