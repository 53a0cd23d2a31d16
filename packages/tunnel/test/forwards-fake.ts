import { connect, type Socket } from 'node:net'
import { Duplex } from 'node:stream'
import { KeytoolError } from '@keytool/keygen'
import type { Connection, Incoming, Origin, RemotePlace } from '../src/connection/connection.js'
import type { Forward, ForwardOptions } from '../src/forwards/forward.js'
import { openForward } from '../src/forwards/open.js'
import { type ForwardKind, parseForward } from '../src/forwards/spec.js'

/** What was asked of a server that does nothing by itself. */
export interface Asked {
  readonly direct: (readonly [host: string, port: number, origin: Origin])[]
  readonly unix: string[]
  readonly listen: RemotePlace[]
  readonly closed: RemotePlace[]
}

export interface FakeServer {
  readonly connection: Connection
  readonly asked: Asked
  /** Lets somebody reach a listener on the server: the first one that is open. */
  arrive(): { readonly far: Duplex; readonly outcome: Promise<'accepted' | 'rejected'> }
}

/**
 * A connection without a server.
 * @param open makes the stream to a target; a Unix socket's host is its path
 */
export function fakeServer(
  open: (host: string, port: number) => Duplex | Promise<Duplex> = () => refuse(),
  grant: (place: RemotePlace) => number | undefined = place => ('port' in place ? place.port || 40_000 : undefined),
): FakeServer {
  const asked: Asked = { direct: [], unix: [], listen: [], closed: [] }
  const listeners: ((incoming: Incoming) => void)[] = []
  const none = () => Promise.reject(new KeytoolError('refused', 'not here'))
  const connection: Connection = {
    admission: { method: 'publickey', offered: [] },
    software: 'fake',
    remarks: [],
    async openDirect(host, port, origin) {
      asked.direct.push([host, port, origin])
      return await open(host, port)
    },
    async openDirectUnix(path) {
      asked.unix.push(path)
      return await open(path, 0)
    },
    async listenRemote(place, onIncoming) {
      asked.listen.push(place)
      const port = grant(place)
      listeners.push(onIncoming)
      const close = async () => {
        asked.closed.push(place)
        listeners.splice(listeners.indexOf(onIncoming), 1)
      }
      return { ...(port !== undefined && { port }), close }
    },
    exec: none,
    openSession: none,
    openSubsystem: none,
    ping: none,
    closed: new Promise(() => {}),
    close: async () => {},
  }
  return {
    connection,
    asked,
    arrive() {
      const [near, far] = pair()
      let decide: (outcome: 'accepted' | 'rejected') => void = () => {}
      const outcome = new Promise<'accepted' | 'rejected'>(resolve => {
        decide = resolve
      })
      listeners[0]?.({
        origin: { host: '192.0.2.7', port: 7 },
        accept() {
          decide('accepted')
          return near
        },
        reject: () => decide('rejected'),
      })
      return { far, outcome }
    },
  }
}

export function refuse(): Promise<never> {
  return Promise.reject(new KeytoolError('refused', 'not this one'))
}

/** Two ends of one pipe that keeps halves apart and is cut from either end, as a channel is. */
export function pair(): [Duplex, Duplex] {
  const ends: Duplex[] = []
  const make = (other: () => Duplex | undefined) => {
    let waiting: (() => void) | undefined
    const end = new Duplex({
      allowHalfOpen: true,
      read() {
        const next = waiting
        waiting = undefined
        next?.()
      },
      write(chunk, _encoding, done) {
        const peer = other()
        if (!peer || peer.destroyed) done()
        else if (peer.push(chunk)) done()
        else (peer as unknown as { wait(next: () => void): void }).wait(done)
      },
      final(done) {
        if (!other()?.destroyed) other()?.push(null)
        done()
      },
      destroy(error, done) {
        // Cut, unless both halves had ended.
        const peer = other()
        if (peer && !(this.writableFinished && this.readableEnded)) {
          setImmediate(() => peer.destroy(new KeytoolError('unreachable', 'the connection was cut by the far side')))
        }
        done(error)
      },
    })
    Object.assign(end, {
      wait(next: () => void) {
        waiting = next
      },
    })
    end.on('error', () => {})
    ends.push(end)
    return end
  }
  const one: Duplex = make(() => ends[1])
  return [one, make(() => one)]
}

/** Answers with what came, once the other side has ended. */
export function echoAtEnd(): Duplex {
  const parts: Buffer[] = []
  return new Duplex({
    read() {},
    write(chunk, _encoding, done) {
      parts.push(chunk)
      done()
    },
    final(done) {
      this.push(`[${Buffer.concat(parts)}]`)
      this.push(null)
      done()
    },
  })
}

/** Forwards that a test opens and nobody forgets. */
export class OpenForwards {
  readonly #open: Forward[] = []

  async open(
    kind: ForwardKind,
    text: string,
    { connection }: FakeServer,
    more: Partial<ForwardOptions> = {},
  ): Promise<Forward> {
    const forward = await openForward(parseForward(kind, text), {
      link: { connection: async () => connection },
      ...more,
    })
    this.#open.push(forward)
    return forward
  }

  async close(): Promise<void> {
    for (const forward of this.#open.splice(0)) await forward.close()
  }
}

/** Connects to where a forward listens. */
export function visit(forward: Forward): Socket {
  const { listen } = forward.spec
  const place = 'path' in listen ? { path: listen.path } : { port: forward.port ?? 0, host: '127.0.0.1' }
  return connect({ ...place, allowHalfOpen: true }).on('error', () => {})
}

/** How it ended: `end` for a FIN, else the error's code. */
export function endOf(socket: Socket): Promise<string> {
  socket.resume()
  return new Promise(resolve => {
    socket.on('error', error => resolve(String((error as NodeJS.ErrnoException).code)))
    // libuv reads data that comes together with a RST as data and an end; a write tells the two apart.
    socket.on('end', () => (socket.writable ? socket.write('', error => error ?? resolve('end')) : resolve('end')))
  })
}

/** Looks again and again, for fifteen seconds at most. */
export async function until(done: () => boolean): Promise<void> {
  const end = Date.now() + 15_000
  while (!done() && Date.now() < end) await new Promise(resolve => setTimeout(resolve, 2))
  expect(done()).toBe(true)
}
