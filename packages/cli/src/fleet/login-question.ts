import { isKeytoolError, KeytoolError, type Signer } from '@keytool/keygen'
import type { AskPassword, ConfirmHost, PasswordPrompt } from '@keytool/tunnel'
import { type Context, leavingWith } from '../context.js'
import { passwordSource } from '../password.js'
import { inTurn, type Turn, waitForTurn } from '../turn.js'
import type { FleetRun } from './run.js'
import { asksPassword } from './shared-password.js'

/** How long the others wait until it is known whether a password was right, in milliseconds. */
const VERDICT_TIME = 5_000
/** Connections to one host that may be lost to a question that stands too long. */
const MAX_LOST = 5

/**
 * Who asks what one host wants to know, while others want to know something, too: one question at a time, and what a
 * password is followed by (that it was refused; whether it is for the others) before the next host's question. A server
 * waits for two minutes and no more: one that has hung up meanwhile is gone to again, with the answer.
 */
export class LoginQuestion {
  readonly #context: Context
  readonly #run: FleetRun | undefined
  readonly #ask: AskPassword
  readonly #isTyped: boolean
  readonly #over = new AbortController()
  /** The turn that is held, or waited for. */
  #turn: Promise<Turn> | undefined
  #timer: NodeJS.Timeout | undefined
  /** What was typed last, for others; and what is for this host, but came too late for its connection. */
  #typed: Buffer | undefined
  #late: Buffer | undefined
  #isWaiting = false
  #isRepeated = false
  /** The password that is being asked for, and whatever is being asked. */
  #standing: Promise<Buffer> | undefined
  #asking: Promise<void> | undefined
  /** Counts the connections: a question of one that is lost is not asked any more. */
  #connection = 0

  /** @param file with the password, if one was named */
  constructor(file: string | undefined, run: FleetRun | undefined, context: Context) {
    this.#context = context
    this.#run = run
    this.#ask = passwordSource(file, leavingWith(context, this.#over.signal))
    this.#isTyped = file === undefined
  }

  readonly askPassword: AskPassword = async prompt => {
    if (!this.#isTyped) return this.#ask(prompt)
    const known = this.#takeKnown(prompt)
    if (known) return known
    this.#forget()
    const connection = this.#connection
    this.#isWaiting = true
    const turn = await this.#hold()
    if (connection !== this.#connection) throw new KeytoolError('unreachable', 'the server has hung up meanwhile')
    this.#isWaiting = false
    // Whoever was asked meanwhile may have said that it is for all.
    const shared = this.#takeKnown(prompt)
    if (shared) {
      this.#letOthersAsk()
      return shared
    }
    return this.#askNow(prompt, turn)
  }

  async #askNow(prompt: PasswordPrompt, turn: Turn): Promise<string | Buffer> {
    const answer = turn.within(() => this.#ask(prompt))
    this.#asking = answer.then(
      () => {},
      () => {},
    )
    if (!asksPassword(prompt)) return answer
    // Only a password is the same for the next connection, and for others.
    const copy = answer.then(given => Buffer.from(given))
    copy.catch(() => {})
    this.#standing = copy
    const given = await answer
    this.#typed = await copy
    this.#isRepeated = false
    this.#standing = undefined
    this.#limit()
    return given
  }

  /**
   * The connection is lost. Returns whether that is because its question had to wait, and another one will be better off:
   * once it can be asked at once, or was answered.
   * @throws KeytoolError `cancelled` by whoever was asked
   */
  async mayConnectAgain(error: unknown): Promise<boolean> {
    this.#connection++
    if (this.#connection > MAX_LOST) return false
    if (this.#isWaiting) {
      await this.#hold()
      this.#isWaiting = false
      return true
    }
    if (!this.#standing) return this.#repeatAnswer(error)
    this.#late = Buffer.from(await this.#standing)
    this.#standing = undefined
    return true
  }

  /** An sshd that has lost its patience may say so only when it gets the answer. Once: it may also mean no. */
  #repeatAnswer(error: unknown): boolean {
    if (!isKeytoolError(error) || error.code !== 'unreachable' || !this.#typed || this.#isRepeated) return false
    this.#isRepeated = true
    this.#late = Buffer.from(this.#typed)
    return true
  }

  /** What a server says before it asks, and may not make sense without: in the same turn, before its question. */
  readonly tell = (text: string): void => {
    const show = async () => this.#context.say.prompt(text)
    const turn = this.#turn
    // Where its turn never comes nothing is asked either.
    const told = turn ? turn.then(held => held.within(show)) : inTurn(show)
    told.catch(() => {})
  }

  /** A question about a host key is several lines: they stand together. */
  confirmHost(confirm: ConfirmHost): ConfirmHost {
    return async unknown => {
      const turn = await this.#turn
      return turn ? turn.within(() => confirm(unknown)) : inTurn(() => confirm(unknown))
    }
  }

  /** A key may have a question of its own: nobody waits for both. */
  beforeSigning(signer: Signer): Signer {
    return {
      publicKey: signer.publicKey,
      ...(signer.certificate && { certificate: signer.certificate }),
      sign: (data, options) => {
        this.#letOthersAsk()
        return signer.sign(data, options)
      },
    }
  }

  /** The password was right: it may be meant for others, too. */
  async accepted(): Promise<void> {
    const typed = this.#typed
    if (typed && this.#run?.password.isOpen(this.#context)) {
      const { password } = this.#run
      const turn = await this.#hold()
      await turn.within(() => password.offer(typed, this.#context))
    }
    this.release()
  }

  /** The login is over: others may ask. */
  release(): void {
    this.#over.abort()
    this.#forget()
    this.#letOthersAsk()
  }

  #takeKnown(prompt: PasswordPrompt): Buffer | undefined {
    if (!asksPassword(prompt)) return undefined
    const late = this.#late
    this.#late = undefined
    if (late) this.#typed = Buffer.from(late)
    return late ?? this.#run?.password.take(prompt)
  }

  /** A server that takes its time over the verdict keeps nobody else from being asked. */
  #limit(): void {
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => this.#letOthersAsk(), VERDICT_TIME)
  }

  #letOthersAsk(): void {
    clearTimeout(this.#timer)
    const turn = this.#turn
    this.#turn = undefined
    // A question that was ended first has to be gone from the terminal.
    const asking = this.#asking
    turn?.then(
      held => (asking ? asking.then(() => held.release()) : held.release()),
      () => {},
    )
  }

  #forget(): void {
    this.#typed?.fill(0)
    this.#typed = undefined
    this.#late?.fill(0)
    this.#late = undefined
  }

  #hold(): Promise<Turn> {
    this.#turn ??= this.#takeTurn()
    return this.#turn
  }

  async #takeTurn(): Promise<Turn> {
    this.#context.say.transient('waiting to ask')
    const turn = await waitForTurn()
    this.#context.say.transient('asking')
    if (!this.#context.leaving?.aborted) return turn
    turn.release()
    throw new KeytoolError('cancelled', 'stopped before it was asked', { reason: 'nothing was changed' })
  }
}
