import type { Socket } from 'node:net'
import type { Forward, ForwardOptions } from './forward.js'
import { Guests } from './guests.js'
import { type ListenerHere, listenHere, type SpecHere } from './listen.js'
import { type Counters, noteError } from './pump.js'
import { reset } from './reset.js'
import { formatListen } from './spec.js'

/** Carries one who came in, or throws why not. The socket is paused, and half-open. */
export type Serve = (socket: Socket) => Promise<void>

/** A forward that listens here: what `-L` and `-D` have in common. */
export class ForwardHere implements Forward {
  readonly spec: SpecHere
  readonly #guests: Guests
  readonly #listener: ListenerHere
  #closing: Promise<void> | undefined

  /**
   * Listens, and serves all who come until it is closed.
   * @param prepare is given the guests, whose counters the pump needs
   * @throws KeytoolError as {@link listenHere}
   */
  static async open(spec: SpecHere, options: ForwardOptions, prepare: (guests: Guests) => Serve): Promise<ForwardHere> {
    const guests = new Guests({ limit: options.limits?.connections, onTrouble: options.onTrouble })
    const serve = prepare(guests)
    const onSocket = (socket: Socket) => void welcome(socket, guests, serve)
    const onError = (error: Error) => noteError(guests.counters, error)
    const listener = await listenHere(spec, onSocket, onError, options.onLeftover)
    return new ForwardHere(spec, guests, listener)
  }

  private constructor(spec: SpecHere, guests: Guests, listener: ListenerHere) {
    this.spec = spec
    this.#guests = guests
    this.#listener = listener
  }

  get place(): string {
    return formatListen(this.spec, this.port)
  }

  get port(): number | undefined {
    return this.#listener.port
  }

  get counters(): Readonly<Counters> {
    return this.#guests.counters
  }

  async attach(): Promise<void> {}

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  #close(): Promise<void> {
    const closed = this.#listener.close()
    this.#guests.cutAll()
    return closed
  }
}

async function welcome(socket: Socket, guests: Guests, serve: Serve): Promise<void> {
  if (!guests.receive()) {
    socket.on('error', () => {})
    reset(socket)
    return
  }
  guests.keep(socket)
  try {
    await serve(socket)
  } catch (error) {
    // Whoever has left by then is not told, and nobody else needs to be.
    if (!socket.destroyed) guests.trouble(error)
    // One that was told why is left to read it.
    if (!socket.writableEnded) reset(socket)
  }
}
