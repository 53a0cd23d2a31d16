import type { Socket } from 'node:net'
import type { Connection, Incoming, RemoteListener, RemotePlace } from '../connection/connection.js'
import { reachTarget, startDialling } from './dial-target.js'
import type { Forward, ForwardOptions } from './forward.js'
import { Guests } from './guests.js'
import { type Counters, pump } from './pump.js'
import { reset } from './reset.js'
import { speakSocks } from './socks.js'
import { type ForwardOf, formatListen, hostToAsk, type TargetPlace } from './spec.js'

/** A `-R` forward. It listens once it is attached to a connection, and again on each next one. */
export async function openRemote(spec: ForwardOf<'remote'>, options: ForwardOptions): Promise<Forward> {
  return new RemoteForward(spec, options)
}

class RemoteForward implements Forward {
  readonly spec: ForwardOf<'remote'>
  readonly #guests: Guests
  #port: number | undefined
  #listener: RemoteListener | undefined
  #closed = false

  constructor(spec: ForwardOf<'remote'>, options: ForwardOptions) {
    this.spec = spec
    this.#guests = new Guests({ limit: options.limits?.connections, onTrouble: options.onTrouble })
  }

  get place(): string {
    return formatListen(this.spec, this.#port)
  }

  get port(): number | undefined {
    const { listen } = this.spec
    return 'path' in listen ? undefined : (this.#port ?? listen.port)
  }

  get counters(): Readonly<Counters> {
    return this.#guests.counters
  }

  async attach(connection: Connection): Promise<void> {
    if (this.#closed) return
    const listener = await connection.listenRemote(this.#placeToAsk(), incoming => this.#arrived(incoming))
    // Closed meanwhile: nobody else knows of this listener.
    if (this.#closed) return await listener.close()
    this.#listener = listener
    this.#port = listener.port
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#guests.cutAll()
    await this.#listener?.close()
  }

  #placeToAsk(): RemotePlace {
    const { listen } = this.spec
    return 'path' in listen ? listen : { host: hostToAsk(listen), port: this.#port ?? listen.port }
  }

  #arrived(incoming: Incoming): void {
    if (this.#closed || !this.#guests.receive()) {
      incoming.reject()
      return
    }
    const { to } = this.spec
    const carried = to === undefined ? this.#serveSocks(incoming) : this.#carry(incoming, to)
    carried.catch(error => this.#guests.trouble(error))
  }

  /** Whoever came waits until the target is there: one that refuses looks refused from afar, too. */
  async #carry(incoming: Incoming, to: TargetPlace): Promise<void> {
    let socket: Socket
    try {
      socket = startDialling(to)
      this.#guests.keep(socket)
      await reachTarget(socket, to)
    } catch (error) {
      incoming.reject()
      if (!this.#closed) throw error
      return
    }
    try {
      pump(socket, incoming.accept(), this.#guests.counters)
    } catch (error) {
      reset(socket)
      throw error
    }
  }

  async #serveSocks(incoming: Incoming): Promise<void> {
    const channel = incoming.accept()
    this.#guests.keep(channel)
    try {
      const socket = await speakSocks(channel, async to => {
        const socket = startDialling(to)
        await reachTarget(socket, to)
        return socket
      })
      if (socket) pump(socket, channel, this.#guests.counters)
    } catch (error) {
      // One that was told why is left to read it.
      if (!channel.writableEnded) reset(channel)
      throw error
    }
  }
}
