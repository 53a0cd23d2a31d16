import type { PasswordPrompt } from '@keytool/tunnel'
import { askYes, hasTerminal } from '../ask.js'
import type { Context } from '../context.js'
import { count } from '../text.js'

/**
 * One password for several hosts, if whoever typed it says so. It is offered once, after the first host has taken it, and
 * goes nowhere unasked.
 */
export class SharedPassword {
  #others: number
  #secret: Buffer | undefined
  #isDecided = false

  /** @param others hosts beside the first one */
  constructor(others: number) {
    this.#others = others
  }

  /** A host is done with, one way or another: it is none of those that are asked about. */
  noteDone(): void {
    this.#others--
  }

  /** A copy for one host's first question, if it is shared and the question is for a password. */
  take(prompt: PasswordPrompt): Buffer | undefined {
    return this.#secret && prompt.attempt === 1 && asksPassword(prompt) ? Buffer.from(this.#secret) : undefined
  }

  /** Whether it is still to be asked whether a password is for the others, too, and somebody can be asked. */
  isOpen(context: Context): boolean {
    return !this.#isDecided && this.#others > 0 && hasTerminal(context)
  }

  /** Asks whether a password that was right is for the others, too. It is kept only then. */
  async offer(secret: Buffer, context: Context): Promise<void> {
    if (!this.isOpen(context)) return
    this.#isDecided = true
    const others = this.#others === 1 ? 'the other host' : `the other ${count(this.#others, 'host')}`
    if (await askYes(`use this password for ${others}, too?`, context)) {
      this.#secret = Buffer.from(secret)
    }
  }

  wipe(): void {
    this.#secret?.fill(0)
    this.#secret = undefined
  }
}

/** Whether the server asks for the account's password, whatever way it does. */
export function asksPassword({ kind, text }: PasswordPrompt): boolean {
  return kind === 'password' || /^password:?$/i.test(text)
}
