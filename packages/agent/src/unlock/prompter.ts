import { KeytoolError } from '@keytool/keygen'

/** What is asked of the user by one channel: an askpass program, a terminal, a desktop's notification. */
export interface Prompter {
  /** For the ledger: `askpass`, `terminal`. */
  readonly name: string
  /**
   * Yes or no to a text of several lines at most, which is safe to show. `undefined`: nobody can be asked this way.
   * Rejects with `cancelled` when the signal is aborted or nobody answers in time, `failed` when the channel is there
   * and does not work.
   */
  confirm(text: string, signal: AbortSignal): Promise<boolean | undefined>
  /**
   * A passphrase. `undefined`: nobody can be asked this way. Rejects as `confirm` does, with `cancelled` also when the
   * user does not want to answer. Whoever gets the buffer wipes it.
   * @param text several lines at most, safe to show; the last one names what is asked for and ends without a colon
   */
  passphrase(text: string, signal: AbortSignal): Promise<Buffer | undefined>
}

/** How long a question may stand open, in milliseconds. Nobody has answered it then, and the answer is no. */
export interface Patience {
  readonly confirm: number
  readonly passphrase: number
}

export const PATIENCE: Patience = { confirm: 2 * 60_000, passphrase: 10 * 60_000 }

/**
 * Works while somebody waits for it, and not for ever.
 * @param work rejects with its signal's reason when that is aborted
 */
export async function withPatience<T>(
  signal: AbortSignal,
  ms: number,
  work: (ended: AbortSignal) => Promise<T>,
): Promise<T> {
  if (signal.aborted) throw withdrawn()
  const ended = new AbortController()
  const leave = () => ended.abort(withdrawn())
  signal.addEventListener('abort', leave, { once: true })
  const timer = setTimeout(() => ended.abort(unanswered(ms)), ms)
  try {
    return await work(ended.signal)
  } finally {
    clearTimeout(timer)
    signal.removeEventListener('abort', leave)
  }
}

/** `cancelled`: whoever asked is gone, so the question is, too. */
export function withdrawn(): KeytoolError {
  return new KeytoolError('cancelled', 'whoever asked did not wait for the answer')
}

function unanswered(ms: number): KeytoolError {
  const time = ms < 60_000 ? `${Math.ceil(ms / 1000)} s` : `${Math.round(ms / 60_000)} min`
  return new KeytoolError('cancelled', `nobody answered within ${time}`)
}
