import { dirname, join } from 'node:path'
import { createKeychain, type Keychain } from '@keytool/agent'
import { isKeytoolError, KeytoolError } from '@keytool/keygen'
import type { Context } from './context.js'

/** What talks to the keychain: a program beside this one. */
export function keychainProgram({ program }: Context): string {
  return join(dirname(program), 'keychain.cjs')
}

/**
 * The system's keychain.
 * @param timeout milliseconds that it has for an answer, if not the usual
 */
export function openKeychain(context: Context, timeout?: number): Keychain {
  return createKeychain({
    program: keychainProgram(context),
    env: context.env,
    ...(timeout !== undefined && { timeout }),
  })
}

/**
 * The keychain for whoever wants a passphrase kept in it. It is asked before anybody is: nobody types one in vain.
 * @returns `undefined` where there is none, which has been said: what was asked for is done without it
 * @throws KeytoolError `refused` while it is locked
 */
export async function keychainToFill(context: Context): Promise<Keychain | undefined> {
  const keychain = openKeychain(context)
  try {
    await keychain.list()
    return keychain
  } catch (error) {
    if (isNone(error)) warnOfNone(error, context)
    else throw withReason(error, 'nothing was done')
    return undefined
  }
}

/** Whether an error of the keychain's means that there is none here, or none that answers. */
export function isNone(error: unknown): error is KeytoolError {
  return isKeytoolError(error) && error.code === 'unreachable'
}

/** One warning: the work goes on without a keychain. */
export function warnOfNone(error: KeytoolError, { say, name }: Context): void {
  say.note(
    `the passphrase is not remembered: ${explain(error)}\n` +
      `  the agent asks for it when the key is used, or takes it from: ${name} unlock FILE`,
  )
}

/** An error in one line. */
export function explain({ message, reason }: KeytoolError): string {
  return reason === undefined ? message : `${message}: ${reason}`
}

/** The same error, with what stands after it. */
export function withReason(error: unknown, reason: string): unknown {
  if (!isKeytoolError(error)) return error
  const { code, message, hint } = error
  return new KeytoolError(code, message, {
    reason: error.reason === undefined ? reason : `${error.reason}; ${reason}`,
    ...(hint !== undefined && { hint }),
    cause: error,
  })
}
