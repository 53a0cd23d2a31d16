import type { Duplex } from 'node:stream'
import { type KeytoolError, showForeign } from '@keytool/keygen'
import type { Beneath } from './beneath.js'
import type { Channels } from './channels.js'
import type {
  Admission,
  Connection,
  ExecOptions,
  ExecResult,
  Incoming,
  Origin,
  RemoteListener,
  RemotePlace,
  RemoteSession,
  SessionRequest,
} from './connection.js'
import { collectExec } from './exec.js'
import { measurePing } from './ping.js'
import { type ListeningClient, RemoteListeners } from './remote.js'
import { describeSession, makeSession, type RawSession } from './session.js'

type Done = (error: Error | undefined, channel: unknown) => void

/** The part of the engine's client that opens channels. */
export interface OpeningClient extends ListeningClient {
  forwardOut(fromHost: string, fromPort: number, host: string, port: number, done: Done): unknown
  openssh_forwardOutStreamLocal(path: string, done: Done): unknown
  shell(terminal: object | false, more: object, done: Done): unknown
  exec(command: string, more: object, done: Done): unknown
  subsys(name: string, done: Done): unknown
}

/** What a connection needs of the engine once the user is in. */
export interface OpenedEnds {
  readonly client: OpeningClient & Beneath
  readonly channels: Channels
  readonly admission: Admission
  readonly software: string
  readonly remarks: readonly string[]
  readonly closed: Promise<KeytoolError | undefined>
  /** Why the connection broke, once it has. */
  readonly failure: () => KeytoolError | undefined
  /** The same, and also once we have closed it. */
  readonly broken: () => KeytoolError | undefined
  readonly close: () => Promise<void>
}

/** A connection that stands: everything that it carries is asked for here. */
export class OpenedConnection implements Connection {
  readonly #ends: OpenedEnds
  readonly #remote: RemoteListeners

  constructor(ends: OpenedEnds) {
    const { client, channels, failure } = ends
    this.#ends = ends
    this.#remote = new RemoteListeners({ client, adopt: channel => channels.adopt(channel), failure })
  }

  get admission(): Admission {
    return this.#ends.admission
  }

  get software(): string {
    return this.#ends.software
  }

  get remarks(): readonly string[] {
    return this.#ends.remarks
  }

  get closed(): Promise<KeytoolError | undefined> {
    return this.#ends.closed
  }

  openDirect(host: string, port: number, origin: Origin): Promise<Duplex> {
    const { client, channels } = this.#ends
    return channels.openStream(`${showForeign(host)}:${port}`, done =>
      client.forwardOut(origin.host, origin.port, host, port, done),
    )
  }

  openDirectUnix(path: string): Promise<Duplex> {
    const { client, channels } = this.#ends
    return channels.openStream(showForeign(path), done => client.openssh_forwardOutStreamLocal(path, done))
  }

  listenRemote(place: RemotePlace, onIncoming: (incoming: Incoming) => void): Promise<RemoteListener> {
    return this.#remote.listen(place, onIncoming)
  }

  openSession(request: SessionRequest): Promise<RemoteSession> {
    const { client, channels, closed } = this.#ends
    const { command } = request
    const { pty, more } = describeSession(request)
    return channels.open(
      command === undefined ? 'a shell' : 'a command',
      done => {
        if (command === undefined) client.shell(pty, more, done)
        else client.exec(command, { ...more, ...(pty && { pty }) }, done)
      },
      raw => makeSession(raw as RawSession, channels.adopt(raw, { keepStderr: true }), closed, client._protocol),
    )
  }

  openSubsystem(name: string): Promise<RemoteSession> {
    const { client, channels, closed } = this.#ends
    return channels.open(
      `the subsystem ${showForeign(name)}`,
      done => client.subsys(name, done),
      raw => makeSession(raw as RawSession, channels.adopt(raw, { keepStderr: true }), closed, client._protocol),
    )
  }

  ping(timeout: number): Promise<number> {
    return measurePing(this.#ends.client, timeout, this.#ends.broken)
  }

  exec(command: string, options: ExecOptions = {}): Promise<ExecResult> {
    const { client, channels, closed } = this.#ends
    return channels.open(
      'a command',
      done => client.exec(command, {}, done),
      channel => collectExec(channel, closed, options),
    )
  }

  close(): Promise<void> {
    return this.#ends.close()
  }
}
