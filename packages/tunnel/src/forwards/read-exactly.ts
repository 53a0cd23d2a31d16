import type { Readable } from 'node:stream'

/**
 * Takes so many bytes from a stream and leaves what follows in it. Nobody else may be reading.
 * @param count at least 1
 * @returns `undefined` when it ended before
 * @throws what `signal` aborts with, or the error that the stream breaks with
 */
export function readExactly(stream: Readable, count: number, signal: AbortSignal): Promise<Buffer | undefined> {
  return new Promise((resolve, reject) => {
    const settle = (end: () => void) => {
      stream.off('readable', look).off('end', look).off('close', close).off('error', fail)
      signal.removeEventListener('abort', abort)
      end()
    }
    const look = () => {
      const bytes: Buffer | null = stream.read(count)
      // The last bytes of a stream come even if they are too few.
      if (bytes) settle(() => resolve(bytes.length === count ? bytes : undefined))
      else if (stream.readableEnded) settle(() => resolve(undefined))
    }
    const close = () => settle(() => resolve(undefined))
    const fail = (error: Error) => settle(() => reject(error))
    const abort = () => settle(() => reject(signal.reason))
    stream.on('readable', look).once('end', look).once('close', close).once('error', fail)
    signal.addEventListener('abort', abort)
    if (signal.aborted) abort()
    else if (stream.destroyed) close()
    else look()
  })
}
