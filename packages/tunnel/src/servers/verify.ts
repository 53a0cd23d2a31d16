import { isKeytoolError, KeytoolError, type Signer, showForeign } from '@keytool/keygen'
import { type ConnectOptions, connect } from '../connection/connect.js'
import { readAdmittingLine } from './remarks.js'

/** How long the server has for what it says of the login, in milliseconds. */
const PATIENCE = 5_000

/** The same host by the same way, whoever knocks. */
export type Again = Omit<ConnectOptions, 'signers' | 'askPassword'>

export interface Verified {
  /** The line that let the key in, by the server's own words; absent where it does not say. Foreign: shown escaped. */
  readonly admittedBy?: { readonly path: string; readonly line: number }
}

/**
 * Logs in with this key and nothing else, on a connection of its own.
 * @throws KeytoolError as {@link connect} does; `secret-wrong` when the server refuses the key; `secret-needed` when it takes
 * none; `failed` when it lets this user in without any
 */
export async function verifyKeyAlone(options: Again, signer: Signer): Promise<Verified> {
  let isOffered = false
  const connection = await connect({
    ...options,
    // What ssh_config leaves out is about logins; here this is the question.
    methods: ['publickey'],
    signers: async () => {
      isOffered = true
      return [withoutCertificate(signer)]
    },
    askPassword: undefined,
  }).catch(error => {
    throw isOffered ? error : withoutAnswer(error, options)
  })
  try {
    if (connection.admission.method !== 'publickey') {
      const place = showForeign(options.host)
      throw new KeytoolError('failed', `${place} lets ${showForeign(options.user)} in without any key`)
    }
    // Its words come before its answer to whatever is asked after them. That it answers is not what is to be proved.
    await connection.ping(PATIENCE).catch(() => {})
    const admittedBy = readAdmittingLine(connection.remarks)
    return admittedBy ? { admittedBy } : {}
  } finally {
    await connection.close()
  }
}

/** The key alone: a certificate might let in whoever has it, whatever stands in authorized_keys. */
export function withoutCertificate(signer: Signer): Signer {
  return { publicKey: signer.publicKey, sign: (data, options) => signer.sign(data, options) }
}

/** A server that hangs up before it has heard of the key has not refused it; nor has one that takes no keys, or none yet. */
function withoutAnswer(error: unknown, { host, user }: Again): unknown {
  if (!isKeytoolError(error)) return error
  if (error.code === 'secret-needed') {
    return new KeytoolError('secret-needed', `${showForeign(host)} takes no key for ${showForeign(user)}`, {
      reason: 'it asks for something else',
      cause: error,
    })
  }
  if (error.code !== 'secret-wrong') return error
  const { message, reason } = error
  return new KeytoolError('unreachable', message, { ...(reason !== undefined && { reason }), cause: error })
}
