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
  /** The far side has said that this is all. */
  #complete = false
  /** It has closed the channel without. */
  #isCut = false

  /**
   * @param whenRoom calls back once the connection can take more
   * @param options.keepStderr somebody reads the channel's stderr; else what comes there is dropped
   */
  constructor(raw: RawChannel, whenRoom: (done: () => void) => void, options: { keepStderr?: boolean } = {}) {
    super({ allowHalfOpen: true, readableHighWaterMark: BUFFER, writableHighWaterMark: BUFFER })
    this.#raw = raw
    this.#whenRoom = whenRoom
    this.#takeData()
    raw.on('end', () => {
      if (this.#complete && !this.destroyed) this.push(null)
    })
    raw.on('close', () => this.#closed())
    raw.on('error', error => this.destroy(error))
    if (options.keepStderr) this.#watchStderr()
    else raw.stderr.resume()
  }

  override _read(): void {
    this.#raw._read(0)
  }

  override read(size?: number): unknown {
    const chunk: unknown = super.read(size)
    if (this.#isCut && this.readableLength === 0) process.nextTick(() => this.#cut())
    return chunk
  }

  override _write(chunk: Buffer, encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    const rest = chunk.subarray(PIECE)
    this.#whenRoom(() => {
      try {
        // One at a time and never behind its end: the queue of its own in front of this is not needed.
        this.#raw._write(chunk.subarray(0, PIECE), encoding, error => {
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
      this.#raw._read(0)
    } finally {
      done(error)
    }
  }

  /**
   * Has what arrives come here at once, in place of waiting twice. The raw channel's end is pushed for both messages; only its
   * state then tells which one it was.
   */
  #takeData(): void {
    const raw = this.#raw
    const push = raw.push.bind(raw)
    raw.push = (chunk: Buffer | null) => {
      if (chunk === null) {
        if (raw.incoming.state === 'eof') this.#complete = true
        // Only its end passes through it: that it is asked to read before would open the window.
        raw.resume()
        return push(null)
      }
      if (this.readableLength > FLOOD && !this.destroyed) {
        this.destroy(new KeytoolError('damaged', 'the server sends more than it may'))
      }
      // Of one that is gone it is dropped, and the window opens again: CHANNEL_CLOSE comes behind it.
      return this.destroyed || this.push(chunk)
    }
  }

  /** The engine does not hold the server to its window. */
  #watchStderr(): void {
    const { stderr } = this.#raw
    const push = stderr.push.bind(stderr)
    stderr.push = (chunk: Buffer | null) => {
      if (chunk !== null && stderr.readableLength > FLOOD && !this.destroyed) {
        this.destroy(new KeytoolError('damaged', 'the server sends more than it may'))
      }
      return chunk === null || !this.destroyed ? push(chunk) : true
    }
  }

  #closed(): void {
    if (this.destroyed) return
    if (!this.#complete) {
      // All that came is handed over first; below, too.
      this.#isCut = true
      if (this.readableLength === 0) this.#cut()
    } else if (this.readableEnded) {
      this.destroy()
    } else {
      this.once('end', () => this.destroy())
    }
  }

  #cut(): void {
    this.destroy(new KeytoolError('unreachable', 'the connection was cut by the far side'))
  }
}
