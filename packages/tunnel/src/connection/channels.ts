import type { Duplex } from 'node:stream'
import { KeytoolError } from '@keytool/keygen'
import { ChannelStream, checkChannel, PIECE, type RawChannel } from './channel.js'
import { Room } from './room.js'
import { explainRefusal } from './trouble.js'

/** More than the engine's own messages and one command's input ever leave waiting, in bytes. */
const OVERFULL = 4 << 20

/** How the engine answers to a channel that was asked for. */
type Opened = (error: Error | undefined, channel: unknown) => void

/** What one connection carries. */
export class Channels {
  readonly #room: Room
  readonly #failure: () => KeytoolError | undefined
  readonly #streams = new Set<ChannelStream>()

  /**
   * @param failure why the connection broke, once it has
   * @param isStalled whether keys are being exchanged: the engine then keeps everything back
   */
  constructor(socket: Duplex, failure: () => KeytoolError | undefined, isStalled: () => boolean = () => false) {
    this.#room = new Room(socket, isStalled)
    this.#failure = failure
  }

  /** The new keys are in use. */
  goOn(): void {
    this.#room.wake()
  }

  /** Whether more waits to be sent than all that is carried can explain. */
  get isOverfull(): boolean {
    return this.#room.waiting > OVERFULL + this.#streams.size * PIECE
  }

  /**
   * @param what the target, ready to be shown
   * @param ask asks the engine for the channel; may throw
   * @param take gets it in the very turn it is opened: its first messages may be in the same segment
   * @throws KeytoolError `refused`, `unreachable`, `failed`; `damaged` for a channel that carries nothing
   */
  open<T>(what: string, ask: (done: Opened) => void, take: (channel: RawChannel) => T | Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const opened: Opened = (error, channel) => {
        try {
          if (error) throw this.#failure() ?? explainRefusal(error, what)
          resolve(take(checkChannel(channel as RawChannel)))
        } catch (refusal) {
          reject(refusal)
        }
      }
      try {
        ask(opened)
      } catch (cause) {
        reject(this.#failure() ?? new KeytoolError('unreachable', 'the connection is closed', { cause }))
      }
    })
  }

  /** The same for one that is to be a stream, which is cut with the connection. */
  openStream(what: string, ask: (done: Opened) => void): Promise<Duplex> {
    return this.open(what, ask, channel => this.adopt(channel))
  }

  cut(error: KeytoolError): void {
    for (const stream of this.#streams) stream.destroy(error)
  }

  /** Makes a stream of a channel that is open, and cuts it with the connection. */
  adopt(channel: RawChannel, options: { keepStderr?: boolean } = {}): ChannelStream {
    const stream = new ChannelStream(channel, write => this.#room.whenRoom(write), options)
    this.#streams.add(stream)
    stream.once('close', () => this.#streams.delete(stream))
    // It may break before whoever asked for it can listen; they see that it is destroyed.
    stream.on('error', () => {})
    return stream
  }
}
