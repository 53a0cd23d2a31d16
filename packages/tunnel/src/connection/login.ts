import { KeytoolError } from '@keytool/keygen'
import type { Attempt, Authentication, Question, Refusal } from './auth.js'
import type { Admission } from './connection.js'
import { acceptedBy, type Credential, describeCredential } from './public-key.js'
import { signAsAsked } from './signing.js'

export type SignatureDone = (error: Error | null, signature?: Buffer) => void
/** Signs data that the engine made. */
export type SignFor = (data: Buffer, done: SignatureDone) => void
/** An attempt as the engine is told of it. */
type Told =
  | Exclude<Attempt, { method: 'publickey' }>
  | { readonly method: 'publickey'; readonly credential: Credential }

/** What the login needs from the engine. */
export interface LoginEnds {
  /** `host:port`, ready to be shown. */
  readonly place: string
  readonly user: string
  /** What the server calls itself. */
  readonly software: () => string | undefined
  readonly authentication: Authentication
  /** Settles once the host has proved its key: nothing secret is sent before. */
  readonly proved: () => Promise<void>
  /** Waits for us or the user on the server's behalf, then goes on; what fails ends the connection. */
  readonly asking: <T>(work: () => Promise<T>, then: (value: T) => void) => void
  /** Who signs, in the form in which the engine has others sign. */
  readonly asAgent: (sign: SignFor) => object
}

/** Tells the engine what to try next, in its own terms, and reads the server's answers. */
export class Login {
  readonly #ends: LoginEnds
  #refusal: Refusal | undefined
  #method: Admission['method'] = 'none'
  #hasAsked = false
  #credential: Credential | undefined
  #accepted: readonly string[] | undefined

  constructor(ends: LoginEnds) {
    this.#ends = ends
  }

  /** The method tried last: once logged in, the one that did it. */
  get method(): Admission['method'] {
    return this.#method
  }

  /** Whether anything was asked of the server: before that it has nothing to answer to. */
  get hasAsked(): boolean {
    return this.#hasAsked
  }

  /** What is offered at the moment. Throws `damaged` when that is no key: the server then answers what nobody asked. */
  get credential(): Credential {
    if (this.#credential) return this.#credential
    throw new KeytoolError('damaged', `${this.#ends.place} answers to a key that was not offered`)
  }

  /** @param names the server's `server-sig-algs`, RFC 8308 section 3.1 */
  noteAccepted(names: readonly string[]): void {
    this.#accepted = names
  }

  noteRefusal(methods: readonly string[], partial: boolean): void {
    this.#refusal = { methods, partial }
  }

  next(next: (attempt: unknown) => void): void {
    const refusal = this.#refusal
    if (refusal) this.#refusal = { ...refusal, partial: false }
    const { proved, asking } = this.#ends
    asking(
      () => proved().then(() => this.#choose(refusal)),
      attempt => {
        this.#method = attempt.method
        this.#hasAsked = true
        this.#credential = attempt.method === 'publickey' ? attempt.credential : undefined
        next(this.#describe(attempt))
        if (attempt.method === 'password' && typeof attempt.password !== 'string') attempt.password.fill(0)
      },
    )
  }

  /** The next attempt that the server can take. Keys are passed over for good, so there is an end. */
  async #choose(refusal: Refusal | undefined): Promise<Told> {
    const { authentication, software } = this.#ends
    let last = refusal
    for (;;) {
      const attempt = await authentication.next(last)
      if (attempt.method !== 'publickey') return attempt
      try {
        return { method: 'publickey', credential: describeCredential(attempt, acceptedBy(software(), this.#accepted)) }
      } catch (error) {
        authentication.noteSignError(error)
        if (last) last = { ...last, partial: false }
      }
    }
  }

  #describe(attempt: Told): object {
    const { user: username, asking } = this.#ends
    switch (attempt.method) {
      case 'none':
        return { type: 'none', username }
      case 'password':
        return { type: 'password', username, password: attempt.password }
      case 'publickey':
        // Every key comes as an agent that holds one.
        return { type: 'agent', username, agent: this.#asAgent(attempt.credential) }
      case 'keyboard-interactive': {
        const prompt = (_n: string, _i: string, _l: string, questions: Question[], finish: (a: string[]) => void) =>
          asking(() => attempt.answer(questions), finish)
        return { type: 'keyboard-interactive', username, prompt }
      }
    }
  }

  #asAgent({ signer, hash }: Credential): object {
    let given = false
    const sign: SignFor = (data, done) =>
      this.#ends.asking(
        () => this.#settle(given ? this.#twice() : signAsAsked(signer, data, hash), done),
        answer => {
          given = true
          answer()
        },
      )
    return this.#ends.asAgent(sign)
  }

  /** The same question again, instead of an answer, is a server that never means to let the user in. */
  async #twice(): Promise<Buffer> {
    throw new KeytoolError('damaged', `${this.#ends.place} asks for the same signature twice`)
  }

  /** A key that can't sign is passed over: the next one may. */
  #settle(work: Promise<Buffer>, done: SignatureDone): Promise<() => void> {
    return work.then(
      signature => () => done(null, signature),
      error => {
        // Whoever pressed Ctrl-C does not want to be asked for the next thing.
        if (error instanceof KeytoolError && error.code === 'cancelled') throw error
        this.#ends.authentication.noteSignError(error)
        return () => done(new Error('the key could not sign'))
      },
    )
  }
}
