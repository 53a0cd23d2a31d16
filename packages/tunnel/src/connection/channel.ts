import { Duplex, type Readable } from 'node:stream'
import { KeytoolError } from '@keytool/keygen'

/** How much either direction holds back before it says so, in bytes. */
const BUFFER = 256 * 1024

/** How much is handed to the engine at a time, in bytes: what it keeps until the window opens, whatever room there is. */
export const PIECE: number = 64 * 1024

/** What may wait unread in the engine: twice the window it grants. A server that sends more does not keep to it. */
const FLOOD = 4 * 1024 * 1024

/** The least a packet may hold, in bytes. RFC 4253 section 6.1 has everybody take 32768; the engine hangs at 0. */
const LEAST_PACKET = 1024

/** The part of the engine's channel that is used here. */
export interface RawChannel extends Duplex {
  /** What the other side may still send: `open`, `eof` after its CHANNEL_EOF, `closed` after its CHANNEL_CLOSE. */
  readonly incoming: { readonly state: string }
  /** How large a packet the other side takes, as it said when it opened the channel. */
  readonly outgoing: { readonly packetSize: number }
  readonly stderr: Readable
  close(): void
}

/** The channel, if it can carry anything. Throws `damaged`, and closes it. */
export function checkChannel(raw: RawChannel): RawChannel {
  const { packetSize } = raw.outgoing
  if (packetSize >= LEAST_PACKET) return raw
  raw.close()
  throw new KeytoolError('damaged', 'the server opened a channel that carries nothing', {
    reason: `it takes packets of ${packetSize} bytes`,
  })
}

/**
 * A channel as an honest stream. The engine's own ends alike after CHANNEL_EOF and after a channel that was cut, its
 * `destroy` ends it politely, and its writes never wait for the connection beneath. Here an end is an end, a cut is an
 * error, and a write waits until the connection has room.
 */
export class ChannelStream extends Duplex {
  readonly #raw: RawChannel
  readonly #whenRoom: (done: () => void) => void
  #complete = false

  /**
   * @param whenRoom calls back once the connection can take more
   * @param options.keepStderr somebody reads the channel's stderr; else what comes there is dropped
   */
  constructor(raw: RawChannel, whenRoom: (done: () => void) => void, options: { keepStderr?: boolean } = {}) {
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
    if (!options.keepStderr) raw.stderr.resume()
    raw.pause()
  }

  override _read(): void {
    this.#raw.resume()
  }

  override _write(chunk: Buffer, encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    const rest = chunk.subarray(PIECE)
    this.#whenRoom(() => {
      try {
        this.#raw.write(chunk.subarray(0, PIECE), error => {
          if (error || rest.length === 0) done(error)
          else this._write(rest, encoding, done)
        })
      } catch (error) {
        done(error as Error)
      }
    })
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
