import type { Duplex } from 'node:stream'
import { KeytoolError } from '@keytool/keygen'

/**
 * Until the server has said whether it reaches a target, in milliseconds. It dials first: a system's TCP gives up after some two
 * minutes, who waits for it mostly before that.
 */
const PATIENCE = 60_000

/**
 * Waits for a channel no longer than that; one that comes later is closed.
 * @param what the target, ready to be shown
 * @throws KeytoolError `unreachable` when it took too long; what `open` throws
 */
export function openInTime(what: string, open: () => Promise<Duplex>, patience: number = PATIENCE): Promise<Duplex> {
  return new Promise((resolve, reject) => {
    let isLate = false
    const timer = setTimeout(() => {
      isLate = true
      const reason = `no answer in ${patience / 1000} s`
      reject(new KeytoolError('unreachable', `the server does not say whether it reaches ${what}`, { reason }))
    }, patience)
    open()
      .then(channel => (isLate ? channel.destroy() : resolve(channel)), reject)
      .finally(() => clearTimeout(timer))
  })
}
