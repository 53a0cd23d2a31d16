import { type ErrorCode, KeytoolError, showForeign } from '@keytool/keygen'

/** What SSH_FXP_STATUS may say: draft-ietf-secsh-filexfer-02 section 7. */
export const status = {
  ok: 0,
  eof: 1,
  noSuchFile: 2,
  permissionDenied: 3,
  failure: 4,
  badMessage: 5,
  unsupported: 8,
} as const

const meanings: ReadonlyMap<number, { readonly code: ErrorCode; readonly text: string }> = new Map([
  [status.noSuchFile, { code: 'not-found', text: 'no such file' }],
  [status.permissionDenied, { code: 'failed', text: 'no permission' }],
  [status.badMessage, { code: 'failed', text: 'the server takes that for a mistake' }],
  [status.unsupported, { code: 'unsupported', text: 'the server does not know that request' }],
])

/** A server's no to one request. */
export class SftpRefusal extends KeytoolError {
  /** One of {@link status}, or what a later protocol added. */
  readonly status: number

  /** @param words the server's own, in any form */
  constructor(number: number, words: string) {
    const { code, text } = meanings.get(number) ?? { code: 'failed', text: `the server says no (${number})` }
    super(code, text, words === '' ? {} : { reason: showForeign(words) })
    this.status = number
  }
}

/** The number with which a server refused; `undefined` for any other trouble. */
export function refusalOf(error: unknown): number | undefined {
  return error instanceof SftpRefusal ? error.status : undefined
}

/** What the work gives, or `undefined` where the server refused it with one of these numbers. */
export async function unlessRefused<T>(work: Promise<T>, ...numbers: readonly number[]): Promise<T | undefined> {
  try {
    return await work
  } catch (error) {
    const number = refusalOf(error)
    if (number === undefined || !numbers.includes(number)) throw error
    return undefined
  }
}

/** Whether it was done; false where the server refused it, with whatever number. */
export async function succeeds(work: Promise<void>): Promise<boolean> {
  try {
    await work
    return true
  } catch (error) {
    if (refusalOf(error) === undefined) throw error
    return false
  }
}
