import { isKeytoolError, KeytoolError } from '@keytool/keygen'

/** What was caught, in the program's words. */
export function toError(error: unknown): KeytoolError {
  return isKeytoolError(error) ? error : new KeytoolError('failed', String(error), { cause: error })
}

/** An error on one line: what, and why where that is known. */
export function explainError({ message, reason }: KeytoolError): string {
  return reason === undefined ? message : `${message}: ${reason}`
}
