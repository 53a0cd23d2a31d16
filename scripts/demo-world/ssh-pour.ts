import type { EventEmitter } from 'node:events'
import { type Readable, Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'

/**
 * Pours a stream into one that stays open, no faster than that takes it. Resolves when all of it went out, so that
 * what comes next (an exit status, an end) can't overtake it. Rejects when either side breaks.
 * @param closing what emits `close` when `to` takes no more, if that is another
 */
export async function pour(from: Readable, to: Writable, closing: EventEmitter = to): Promise<void> {
  const funnel = new Writable({
    write(chunk, _encoding, done) {
      to.write(chunk, error => done(error))
    },
  })
  // ssh2 never finishes a write to a channel that has closed.
  const stop = () => funnel.destroy(new Error('the channel has closed'))
  closing.once('close', stop)
  try {
    await pipeline(from, funnel)
  } finally {
    closing.off('close', stop)
  }
}
