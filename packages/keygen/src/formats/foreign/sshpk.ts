import { KeytoolError } from '../../error.js'
import { showForeign } from '../../foreign.js'
import { PublicKey } from '../../key.js'

type Sshpk = typeof import('sshpk')

/** What sshpk read: the blob and a label. */
interface Foreign {
  /** RFC 4253 section 6.6. */
  readonly blob: Uint8Array
  readonly comment: string
}

/**
 * A key that sshpk reads for us. It is loaded here only, when a foreign file is really met. What it gives goes through
 * all our own checks; what it throws is retold, whatever it was.
 * @param what such as `the DNSSEC key`, for errors
 * @throws KeytoolError `unsupported` where sshpk does not take it, `damaged` where it gives what can be no key
 */
export async function readBySshpk(what: string, read: (sshpk: Sshpk) => Foreign): Promise<PublicKey> {
  const { default: sshpk } = await import('sshpk')
  const { blob, comment } = retell(what, () => read(sshpk as unknown as Sshpk))
  return PublicKey.fromBlob(Buffer.from(blob), comment)
}

function retell(what: string, read: () => Foreign): Foreign {
  try {
    return read()
  } catch (cause) {
    const message = typeof cause === 'object' && cause !== null && 'message' in cause ? String(cause.message) : ''
    throw new KeytoolError('unsupported', `${what} is not supported`, {
      reason: showForeign(message.replace(/^.*format key: /, ''), 120),
      cause,
    })
  }
}
