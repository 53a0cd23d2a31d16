import type { Socket } from 'node:net'

/** What may wait on a socket before its writers wait too, in bytes. */
const ROOM = 1 << 20

/** ssh2 writes to its socket without looking whether it keeps up. This is the look. */
export class Room {
  readonly #socket: Socket
  readonly #waiting: (() => void)[] = []

  constructor(socket: Socket) {
    this.#socket = socket
    socket.on('drain', () => this.#wake()).on('close', () => this.#wake())
  }

  /** Calls back once the socket can take more, or will never take anything again. */
  whenRoom(done: () => void): void {
    if (this.#socket.writableLength < ROOM || this.#socket.destroyed) done()
    else this.#waiting.push(done)
  }

  #wake(): void {
    for (const done of this.#waiting.splice(0)) done()
  }
}
