import type { Duplex } from 'node:stream'

/** What may wait on a socket before its writers wait too, in bytes. */
const ROOM = 1 << 20

/** ssh2 writes to its socket without looking whether it keeps up. This is the look. */
export class Room {
  readonly #socket: Duplex
  readonly #isStalled: () => boolean
  readonly #waiting: (() => void)[] = []

  /** @param isStalled whether the engine keeps back what it is given, however much that is: {@link Room.wake} says when it does not any more */
  constructor(socket: Duplex, isStalled: () => boolean = () => false) {
    this.#socket = socket
    this.#isStalled = isStalled
    socket.on('drain', () => this.wake()).on('close', () => this.wake())
  }

  /** Bytes that wait to be sent. */
  get waiting(): number {
    return this.#socket.writableLength
  }

  /** Calls back once the socket can take more, in turn, or when it will never take anything again. */
  whenRoom(write: () => void): void {
    if (this.#waiting.length === 0 && this.#hasRoom) write()
    else this.#waiting.push(write)
  }

  get #hasRoom(): boolean {
    return this.#socket.destroyed || (this.#socket.writableLength < ROOM && !this.#isStalled())
  }

  /** Looks whether there is room now for those who wait. */
  wake(): void {
    while (this.#hasRoom) {
      const write = this.#waiting.shift()
      if (!write) return
      write()
    }
  }
}
