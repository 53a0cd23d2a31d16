import { Duplex } from 'node:stream'
import { MAX_HEARD } from './observed.js'

/** What a stream tells of what comes over it. */
export interface Watcher {
  heard: string
  closedThere: boolean
}

/** The same stream, with a look at how it begins and at who ends it. It owns the one beneath, and is destroyed with it. */
export function watchStream(inner: Duplex, watcher: Watcher): Duplex {
  return new WatchedStream(inner, watcher)
}

class WatchedStream extends Duplex {
  readonly #inner: Duplex

  constructor(inner: Duplex, watcher: Watcher) {
    super({ allowHalfOpen: true })
    this.#inner = inner
    inner.on('data', (chunk: Buffer) => {
      const left = MAX_HEARD - watcher.heard.length
      if (left > 0) watcher.heard += chunk.toString('latin1', 0, left)
      if (!this.push(chunk)) inner.pause()
    })
    const ended = () => {
      if (!this.destroyed) watcher.closedThere = true
    }
    inner.on('end', () => {
      ended()
      this.push(null)
    })
    inner.on('error', error => {
      ended()
      this.destroy(error)
    })
    inner.on('close', () => {
      ended()
      // What came before it was cut is still read.
      if (!inner.readableEnded) this.destroy()
    })
    if (inner.destroyed) process.nextTick(() => this.destroy())
  }

  override _read(): void {
    this.#inner.resume()
  }

  override _write(chunk: Buffer, _encoding: string, done: (error?: Error | null) => void): void {
    this.#inner.write(chunk, done)
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#inner.end(() => done())
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#inner.destroy()
    done(error)
  }
}
