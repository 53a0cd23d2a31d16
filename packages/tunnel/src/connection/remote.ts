import type { Duplex } from 'node:stream'
import { KeytoolError, showForeign } from '@keytool/keygen'
import { checkChannel, type RawChannel } from './channel.js'
import type { Incoming, Origin, RemoteListener, RemotePlace } from './connection.js'

/** How long the server may take to stop listening, in milliseconds; the connection may be as good as lost by then. */
const FAREWELL = 2_000

/** Connections that nobody has accepted or rejected yet. More are rejected at once. */
const MAX_WAITING = 1024

type Done = (error?: Error, port?: number) => void
type Accept = () => RawChannel
type Reject = () => void

/** What the engine tells of a connection that reached a listener on the server. */
interface TcpInfo {
  readonly destIP: string
  readonly destPort: number
  readonly srcIP: string
  readonly srcPort: number
}

/** The part of the engine's client that is used here. */
export interface ListeningClient {
  forwardIn(host: string, port: number, done: Done): unknown
  unforwardIn(host: string, port: number, done: Done): unknown
  openssh_forwardInStreamLocal(path: string, done: Done): unknown
  openssh_unforwardInStreamLocal(path: string, done: Done): unknown
  on(event: 'tcp connection', listener: (info: TcpInfo, accept: Accept, reject: Reject) => void): unknown
  on(
    event: 'unix connection',
    listener: (info: { socketPath: string }, accept: Accept, reject: Reject) => void,
  ): unknown
}

export interface RemoteEnds {
  readonly client: ListeningClient
  /** Makes an honest stream of what the engine accepted. */
  readonly adopt: (channel: RawChannel) => Duplex
  /** Why the connection broke, once it has. */
  readonly failure: () => KeytoolError | undefined
}

/** What the server listens to for us: tcpip-forward (RFC 4254 section 7.1) and streamlocal-forward@openssh.com. */
export class RemoteListeners {
  readonly #ends: RemoteEnds
  /** By place, in the server's words. */
  readonly #listeners = new Map<string, (incoming: Incoming) => void>()
  #waiting = 0

  constructor(ends: RemoteEnds) {
    this.#ends = ends
    ends.client.on('tcp connection', ({ destIP, destPort, srcIP, srcPort }, accept, reject) => {
      this.#arrived(
        keyOf({ host: destIP, port: destPort }),
        { host: showForeign(srcIP), port: srcPort },
        accept,
        reject,
      )
    })
    ends.client.on('unix connection', ({ socketPath }, accept, reject) => {
      this.#arrived(keyOf({ path: socketPath }), undefined, accept, reject)
    })
  }

  /** See {@link Connection.listenRemote}. */
  async listen(place: RemotePlace, onIncoming: (incoming: Incoming) => void): Promise<RemoteListener> {
    const { client } = this.#ends
    if ('path' in place) {
      const { path } = place
      await this.#ask(path, done => client.openssh_forwardInStreamLocal(path, done))
      return this.#granted(place, onIncoming, done => client.openssh_unforwardInStreamLocal(path, done))
    }
    const { host } = place
    // With port 0 the server chooses, and says what.
    const port = await this.#ask(`${host || '*'}:${place.port}`, done => client.forwardIn(host, place.port, done))
    if (port === undefined || port < 1 || port > 65535) {
      throw new KeytoolError('damaged', 'the server does not say which port it listens on')
    }
    return this.#granted({ host, port }, onIncoming, done => client.unforwardIn(host, port, done))
  }

  #ask(what: string, ask: (done: Done) => void): Promise<number | undefined> {
    return new Promise((resolve, reject) => {
      const refuse = (cause: unknown) => {
        const { failure } = this.#ends
        reject(
          failure() ??
            new KeytoolError('refused', `the server does not listen on ${showForeign(what)}`, {
              reason: 'it does not allow it, or something else listens there',
              cause,
            }),
        )
      }
      try {
        ask((error, port) => (error ? refuse(error) : resolve(port)))
      } catch (error) {
        refuse(error)
      }
    })
  }

  #granted(place: RemotePlace, onIncoming: (incoming: Incoming) => void, ask: (done: Done) => void): RemoteListener {
    const key = keyOf(place)
    this.#listeners.set(key, onIncoming)
    let closing: Promise<void> | undefined
    const close = () =>
      new Promise<void>(resolve => {
        this.#listeners.delete(key)
        const timer = setTimeout(resolve, FAREWELL)
        const done = () => {
          clearTimeout(timer)
          resolve()
        }
        try {
          ask(done)
        } catch {
          // Without a connection nobody listens any more.
          done()
        }
      })
    return {
      ...('port' in place && { port: place.port }),
      close: () => {
        closing ??= close()
        return closing
      },
    }
  }

  #arrived(key: string, origin: Origin | undefined, accept: Accept, reject: Reject): void {
    const take = this.#listeners.get(key)
    if (!take || this.#waiting >= MAX_WAITING) {
      reject()
      return
    }
    this.#waiting++
    let answered = false
    const answer = () => {
      if (answered) throw new KeytoolError('failed', 'an incoming connection was answered twice')
      answered = true
      this.#waiting--
    }
    take({
      ...(origin && { origin }),
      accept: () => {
        answer()
        const broken = this.#ends.failure()
        if (broken) throw broken
        const channel = accept()
        channel.stderr.on('error', () => {})
        return this.#ends.adopt(checkChannel(channel))
      },
      reject: () => {
        answer()
        if (!this.#ends.failure()) reject()
      },
    })
  }
}

function keyOf(place: RemotePlace): string {
  return 'path' in place ? place.path : `${place.host}:${place.port}`
}
