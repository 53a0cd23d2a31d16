import { KeytoolError, type Signer } from '@keytool/keygen'
import type { Connection, ConnectOptions } from '@keytool/tunnel'
import type { Context } from '../context.js'
import type { LogInOptions } from '../log-in-options.js'
import type { Member } from './member.js'

/** A server that let us in, and all it takes to get in once more with another key. */
export interface OnServer {
  readonly connection: Connection
  /** For `connect` and `verifyKeyAlone`: the same host by the same way. */
  readonly again: Omit<ConnectOptions, 'signers' | 'askPassword'>
}

export interface ServerLogin {
  readonly options: Pick<LogInOptions, 'passwordFile' | 'passphraseFile' | 'hostKey' | 'verbose'> & {
    readonly dryRun?: boolean
  }
  /** Offered in this order, before a password is asked for. */
  readonly signers: readonly Signer[]
}

/**
 * Logs in on one host (through its hops, by ssh_config and sessions, by key or password), hands the connection over and
 * closes it afterwards, whatever came of it.
 * @throws KeytoolError as `connect` does, and what `use` throws
 */
export async function onServer<T>(
  member: Member,
  _login: ServerLogin,
  _context: Context,
  _use: (server: OnServer) => Promise<T>,
): Promise<T> {
  throw new KeytoolError('failed', `not there yet: ${member.word}`)
}
