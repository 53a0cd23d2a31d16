import { KeytoolError } from '@keytool/keygen'
import type { Beneath } from './beneath.js'

/**
 * Sends keepalive@openssh.com and waits for the answer, which is a refusal from those that do not know it.
 * @param timeout in milliseconds
 * @returns how long it took, in milliseconds
 * @throws KeytoolError `unreachable`
 */
export function measurePing(
  engine: Beneath,
  timeout: number,
  failure: () => KeytoolError | undefined,
): Promise<number> {
  return new Promise((resolve, reject) => {
    const start = performance.now()
    const fail = (cause?: unknown) => {
      clearTimeout(timer)
      reject(failure() ?? new KeytoolError('unreachable', 'the server gives no sign of life', { cause }))
    }
    const timer = setTimeout(fail, timeout)
    if (failure()) return fail()
    engine._callbacks.push(failed => {
      // True is the server's own refusal; an error means that no answer will come.
      if (failed && failed !== true) return fail(failed)
      clearTimeout(timer)
      resolve(performance.now() - start)
    })
    try {
      engine._protocol.ping()
    } catch (error) {
      fail(error)
    }
  })
}
