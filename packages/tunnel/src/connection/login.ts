import { KeytoolError, type SignatureHash, type Signer } from '@keytool/keygen'
import type { Attempt, Authentication, Question, Refusal } from './auth.js'
import type { Admission } from './connection.js'
import { signAsAsked } from './signing.js'

export type SignatureDone = (error: Error | null, signature?: Buffer) => void
/** Signs data that the engine made; `hash` only where a key has more than one. */
export type SignFor = (data: Buffer, hash: SignatureHash | undefined, done: SignatureDone) => void

/** What the login needs from the engine. */
export interface LoginEnds {
  /** `host:port`, ready to be shown. */
  readonly place: string
  readonly user: string
  readonly authentication: Authentication
  /** Settles once the host has proved its key: nothing secret is sent before. */
  readonly proved: () => Promise<void>
  /** Waits for us or the user on the server's behalf, then goes on; what fails ends the connection. */
  readonly asking: <T>(work: () => Promise<T>, then: (value: T) => void) => void
  /** One key in the form in which the engine has others sign. */
  readonly asAgent: (signer: Signer, sign: SignFor) => object
}

/** Tells the engine what to try next, in its own terms, and reads the server's answers. */
export class Login {
  readonly #ends: LoginEnds
  #refusal: Refusal | undefined
  #method: Admission['method'] = 'none'

  constructor(ends: LoginEnds) {
    this.#ends = ends
  }

  /** The method tried last: once logged in, the one that did it. */
  get method(): Admission['method'] {
    return this.#method
  }

  noteRefusal(methods: readonly string[], partial: boolean): void {
    this.#refusal = { methods, partial }
  }

  next(next: (attempt: unknown) => void): void {
    const refusal = this.#refusal
    if (refusal) this.#refusal = { ...refusal, partial: false }
    const { proved, authentication, asking } = this.#ends
    asking(
      () => proved().then(() => authentication.next(refusal)),
      attempt => {
        this.#method = attempt.method
        next(this.#describe(attempt))
        if (attempt.method === 'password' && typeof attempt.password !== 'string') attempt.password.fill(0)
      },
    )
  }

  #describe(attempt: Attempt): object {
    const { user: username, asking } = this.#ends
    switch (attempt.method) {
      case 'none':
        return { type: 'none', username }
      case 'password':
        return { type: 'password', username, password: attempt.password }
      case 'publickey':
        // Every key comes as an agent that holds this one.
        return { type: 'agent', username, agent: this.#asAgent(attempt.signer) }
      case 'keyboard-interactive': {
        const prompt = (_n: string, _i: string, _l: string, questions: Question[], finish: (a: string[]) => void) =>
          asking(() => attempt.answer(questions), finish)
        return { type: 'keyboard-interactive', username, prompt }
      }
    }
  }

  #asAgent(signer: Signer): object {
    const given = new Set<SignatureHash | undefined>()
    const sign: SignFor = (data, hash, done) =>
      this.#ends.asking(
        () => this.#settle(given.has(hash) ? this.#twice() : signAsAsked(signer, data, hash), done),
        answer => {
          given.add(hash)
          answer()
        },
      )
    return this.#ends.asAgent(signer, sign)
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
