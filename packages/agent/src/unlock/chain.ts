import { isKeytoolError, KeytoolError } from '@keytool/keygen'
import type { Caller } from '../who.js'
import type { Prompter } from './prompter.js'
import { Turns } from './turns.js'

/** What can be asked of the user, whichever way works. Texts are as in {@link Prompter}. */
export interface Prompts {
  /**
   * Whether the user says yes. Rejects with `refused` when nobody can be asked, `cancelled` when the signal is aborted
   * or nobody answers in time.
   */
  confirm(by: Caller, text: string, signal: AbortSignal): Promise<boolean>
  /** Rejects as `confirm` does, with `cancelled` also when the user does not want to answer. Whoever gets the buffer wipes it. */
  passphrase(by: Caller, text: string, signal: AbortSignal): Promise<Buffer>
}

export interface PromptsOptions {
  /** Questions that may stand open at a time, one of each asker. Default 4. */
  readonly most?: number
}

/** More windows than this would only hide each other. */
const MOST = 4

/**
 * Asks through the first prompter that can. The prompts of one asker never hold up another's: see {@link Turns}. What
 * asks through several connections or processes is one asker, as far as the system tells that they belong together.
 */
export function createPrompts(prompters: readonly Prompter[], options: PromptsOptions = {}): Prompts {
  const turns = new Turns(options.most ?? MOST)

  async function askFirst<T>(ask: (prompter: Prompter) => Promise<T | undefined>): Promise<T> {
    const troubles: KeytoolError[] = []
    for (const prompter of prompters) {
      try {
        const answer = await ask(prompter)
        if (answer !== undefined) return answer
      } catch (error) {
        if (!isTrouble(error)) throw error
        troubles.push(error)
      }
    }
    throw nobody(troubles)
  }

  return {
    confirm: (by, text, signal) =>
      turns.take(askerOf(by), signal, () => askFirst(prompter => prompter.confirm(text, signal))),
    passphrase: (by, text, signal) =>
      turns.take(askerOf(by), signal, () => askFirst(prompter => prompter.passphrase(text, signal))),
  }
}

/** The program that started it all, so that many processes of one are one. */
function askerOf(by: Caller): unknown {
  return by.peer?.programs.at(-1)?.pid ?? by.peer?.pid ?? by.peer ?? by
}

/** A channel that is there and does not work: the next one may. */
function isTrouble(error: unknown): error is KeytoolError {
  return isKeytoolError(error) && error.code === 'failed'
}

function nobody(troubles: readonly KeytoolError[]): KeytoolError {
  const [first] = troubles
  const told = troubles.map(({ message, reason }) => (reason ? `${message}: ${reason}` : message)).join('; ')
  return new KeytoolError('refused', 'nobody can be asked', {
    reason: told || 'there is no askpass program with a display, and the agent has no terminal',
    hint: 'set SSH_ASKPASS for the agent, or use: keytool unlock',
    cause: first,
  })
}
