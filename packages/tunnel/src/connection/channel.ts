import { Duplex, type Readable } from 'node:stream'
import { KeytoolError } from '@keytool/keygen'

/** How much either direction holds back before it says so, in bytes. */
const BUFFER = 256 * 1024

/** What may wait unread in the engine: twice the window it grants. A server that sends more does not keep to it. */
const FLOOD = 4 * 1024 * 1024

/** The part of the engine's channel that is used here. */
export interface RawChannel extends Duplex {
  /** What the other side may still send: `open`, `eof` after its CHANNEL_EOF, `closed` after its CHANNEL_CLOSE. */
  readonly incoming: { readonly state: string }
  readonly stderr: Readable
  close(): void
}

/**
 * A channel as an honest stream. The engine's own ends alike after CHANNEL_EOF and after a channel that was cut, its
 * `destroy` ends it politely, and its writes never wait for the connection beneath. Here an end is an end, a cut is an
 * error, and a write is done once the connection has room again.
 */
export class ChannelStream extends Duplex {
  readonly #raw: RawChannel
  readonly #whenRoom: (done: () => void) => void
  #complete = false

  /** @param whenRoom calls back once the connection can take more */
  constructor(raw: RawChannel, whenRoom: (done: () => void) => void) {
    super({ allowHalfOpen: true, readableHighWaterMark: BUFFER, writableHighWaterMark: BUFFER })
    this.#raw = raw
    this.#whenRoom = whenRoom
    this.#watchEnd()
    raw.on('data', (chunk: Buffer) => {
      if (!this.destroyed && !this.push(chunk)) raw.pause()
    })
    raw.on('end', () => {
      if (this.#complete && !this.destroyed) this.push(null)
    })
    raw.on('close', () => this.#closed())
    raw.on('error', error => this.destroy(error))
    raw.stderr.resume()
    raw.pause()
  }

  override _read(): void {
    this.#raw.resume()
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    try {
      this.#raw.write(chunk, error => (error ? done(error) : this.#whenRoom(done)))
    } catch (error) {
      done(error as Error)
    }
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#raw.end(() => done())
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    try {
      this.#raw.close()
      // What still comes is dropped, so that the other side's CHANNEL_CLOSE can be reached.
      this.#raw.resume()
    } finally {
      done(error)
    }
  }

  /** The raw channel pushes its end for both messages; only its state then tells which one it was. */
  #watchEnd(): void {
    const raw = this.#raw
    const push = raw.push.bind(raw)
    raw.push = (chunk: unknown, encoding?: BufferEncoding) => {
      if (chunk === null && raw.incoming.state === 'eof') this.#complete = true
      if (raw.readableLength > FLOOD && !this.destroyed) {
        this.destroy(new KeytoolError('damaged', 'the server sends more than it may'))
      }
      return push(chunk, encoding)
    }
  }

  #closed(): void {
    if (this.destroyed) return
    if (!this.#complete) {
      this.destroy(new KeytoolError('unreachable', 'the connection was cut by the far side'))
    } else if (this.readableEnded) {
      this.destroy()
    } else {
      // All that came is handed over first.
      this.once('end', () => this.destroy())
    }
  }
}
