import { isIP } from 'node:net'
import type { Duplex } from 'node:stream'
import { KeytoolError } from '@keytool/keygen'

/** Whoever refuses by TLS's own words speaks it. */
const SPEAKS_TLS = /ALERT|UNSUPPORTED_PROTOCOL|VERSION_TOO_LOW|DH_KEY_TOO_SMALL/

/**
 * Says hello by TLS on a stream. Nothing is proved or sent by it, so that any certificate will do: it is asked whether anybody
 * is there.
 * @returns what then carries; absent when the other side speaks TLS, though not with us
 * @throws KeytoolError `damaged` when it speaks something else; `unreachable`
 */
export async function wrapInTls(stream: Duplex, host: string | undefined): Promise<Duplex | undefined> {
  const { connect } = await import('node:tls')
  const servername = host !== undefined && isIP(host) === 0 ? host : undefined
  const wrapped = connect({
    socket: stream,
    rejectUnauthorized: false,
    ...(servername !== undefined && { servername }),
  })
  return new Promise((resolve, reject) => {
    wrapped.once('secureConnect', () => resolve(wrapped))
    // It stays: an error after the handshake must not stop the process.
    wrapped.on('error', cause => {
      const code = String((cause as NodeJS.ErrnoException).code)
      if (SPEAKS_TLS.test(code)) resolve(undefined)
      else if (code.startsWith('ERR_SSL_')) reject(new KeytoolError('damaged', 'it does not speak TLS', { cause }))
      else reject(new KeytoolError('unreachable', 'it breaks off within the TLS handshake', { reason: code, cause }))
    })
    wrapped.once('close', () => reject(new KeytoolError('unreachable', 'it hangs up within the TLS handshake')))
  })
}
