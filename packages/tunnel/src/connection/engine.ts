/**
 * The only file that knows ssh2. Nothing of it leaves: callers see a {@link Connection}, and every failure as a
 * KeytoolError. What a server sends can end the connection, never the process: errors of any kind end in `#fail`.
 */
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { isKeytoolError, KeytoolError, type SignatureHash, type Signer, showForeign } from '@keytool/keygen'
import ssh2 from 'ssh2'
import { type HostKeyAlgorithm, OFFER } from './algorithms.js'
import type { Attempt, Authentication, Question, Refusal } from './auth.js'
import { ChannelStream, type RawChannel } from './channel.js'
import type { Admission, Connection, ExecOptions, ExecResult, Origin } from './connection.js'
import { collectExec } from './exec.js'
import { Room } from './room.js'
import { signAsAsked } from './signing.js'
import { awaited, StepClock } from './step-clock.js'
import { type EngineError, explainRefusal, explainTrouble, noSsh, type Phase } from './trouble.js'

type Client = InstanceType<typeof ssh2.Client>

/** A dead connection is noticed after three unanswered questions. */
const KEEPALIVE = { interval: 15_000, count: 3 }
/** How long a polite goodbye may take. */
const GOODBYE_TIME = 2_000

export interface EngineOptions {
  /** For texts: `host:port`, ready to be shown. */
  readonly place: string
  readonly user: string
  readonly hostKeyAlgorithms: readonly HostKeyAlgorithm[]
  /** Returns when the key is the host's; throws when it is not. Called once; a later key exchange must show the same. */
  readonly verifyHostKey: (blob: Buffer) => Promise<void>
  /** Called once the host has proved that the key is its own, before anything is sent to it. */
  readonly hostProved: () => Promise<void>
  readonly authentication: Authentication
  readonly keepalive?: { readonly interval: number; readonly count: number } | undefined
  readonly stepTime?: number | undefined
  readonly signal?: AbortSignal | undefined
}

/**
 * Speaks SSH on a connected socket and logs in. The socket becomes the connection's own.
 * @throws KeytoolError `unreachable`, `damaged`, `unsupported`, `secret-wrong`, `secret-needed`, `cancelled`, and
 * whatever the callbacks throw
 */
export function openConnection(socket: Socket, options: EngineOptions): Promise<Connection> {
  return new Engine(socket, options).opened
}

/** What is used of ssh2 1.17 beyond its documentation; the version is pinned for it. */
interface Internals {
  /** The server's software, once its identification line was read. */
  readonly _remoteVer?: string
  readonly _protocol: {
    readonly _handlers: { USERAUTH_FAILURE: (protocol: unknown, methods: string[], partial: boolean) => void }
  }
}

type SignatureDone = (error: Error | null, signature?: Buffer) => void

class Engine implements Connection {
  readonly opened: Promise<Connection>
  readonly closed: Promise<KeytoolError | undefined>
  readonly #client: Client = new ssh2.Client()
  readonly #socket: Socket
  readonly #options: EngineOptions
  readonly #streams = new Set<ChannelStream>()
  readonly #room: Room
  readonly #clock: StepClock
  #phase: Phase = 'hello'
  #failure: KeytoolError | undefined
  #closing = false
  #hostKey: Buffer | undefined
  #proved: Promise<void> = Promise.resolve()
  #refusal: Refusal | undefined
  #method: Admission['method'] = 'none'

  constructor(socket: Socket, options: EngineOptions) {
    this.#socket = socket
    this.#options = options
    this.#room = new Room(socket)
    this.#clock = new StepClock(options.stepTime, time => this.#tooLate(time))
    this.closed = new Promise(resolve => this.#client.once('close', () => resolve(this.#over())))
    this.opened = new Promise((resolve, reject) => {
      this.#client.once('ready', () => {
        this.#ready()
        resolve(this)
      })
      this.closed.then(error => reject(error ?? new KeytoolError('cancelled', 'the connection was closed')))
    })
    options.signal?.addEventListener('abort', this.#abort)
    this.#start()
  }

  get admission(): Admission {
    return { method: this.#method, offered: this.#options.authentication.offered }
  }

  openDirect(host: string, port: number, origin: Origin): Promise<Duplex> {
    return this.#request((resolve, reject) => {
      this.#client.forwardOut(origin.host, origin.port, host, port, (error, channel) => {
        if (error) reject(this.#failure ?? explainRefusal(error, `${showForeign(host)}:${port}`))
        else resolve(this.#adopt(channel as unknown as RawChannel))
      })
    })
  }

  async exec(command: string, options: ExecOptions = {}): Promise<ExecResult> {
    const channel = await this.#request<RawChannel>((resolve, reject) => {
      this.#client.exec(command, (error, opened) => {
        if (error) reject(this.#failure ?? explainRefusal(error, 'a command'))
        else resolve(opened as unknown as RawChannel)
      })
    })
    return collectExec(channel, this.closed, options)
  }

  async close(): Promise<void> {
    this.#closing = true
    for (const stream of this.#streams) stream.destroy(new KeytoolError('unreachable', 'the connection was closed'))
    try {
      this.#client.end()
    } catch {
      this.#socket.destroy()
    }
    const timer = setTimeout(() => this.#socket.destroy(), GOODBYE_TIME)
    await this.closed
    clearTimeout(timer)
  }

  #start(): void {
    const { user, hostKeyAlgorithms, keepalive = KEEPALIVE } = this.#options
    const client = this.#client
    client.on('error', error => this.#onError(error as EngineError))
    client.on('handshake', () => {
      if (this.#phase !== 'hello' && this.#phase !== 'handshake') return
      this.#phase = 'login'
      this.#clock.stop()
      // Auth packets may already be on their way; `#next` waits for this before it sends anything secret.
      this.#proved = this.#options.hostProved()
      this.#proved.catch(error => this.#fail(error))
    })
    client.on('change password', () => {
      const { place } = this.#options
      this.#fail(
        new KeytoolError('refused', `${place} wants the password changed first`, { hint: 'log in once with ssh' }),
      )
    })
    try {
      client.connect({
        sock: this.#socket,
        username: user,
        ident: 'keytool',
        algorithms: {
          kex: [...OFFER.kex],
          cipher: [...OFFER.cipher],
          hmac: [...OFFER.hmac],
          compress: [...OFFER.compress],
          serverHostKey: [...hostKeyAlgorithms],
        },
        hostVerifier: (key: Buffer, verify: (valid: boolean) => void) => this.#verify(key, verify),
        authHandler: (_methods, _partial, next) => this.#next(next as (attempt: unknown) => void),
        readyTimeout: 0,
        keepaliveInterval: keepalive.interval,
        keepaliveCountMax: keepalive.count,
      })
      this.#watchRefusals()
      this.#clock.start(this.#phase)
      if (this.#options.signal?.aborted) this.#abort()
    } catch (error) {
      // ssh2 may not have got so far as to watch the socket.
      this.#socket.once('close', () => client.emit('close'))
      this.#fail(error)
    }
  }

  /** ssh2 does not hand on what the server answers to a key from an agent, so it is read where it arrives. */
  #watchRefusals(): void {
    const handlers = this.#internals._protocol._handlers
    const pass = handlers.USERAUTH_FAILURE
    handlers.USERAUTH_FAILURE = (protocol, methods, partial) => {
      this.#refusal = { methods, partial }
      pass(protocol, methods, partial)
    }
  }

  get #internals(): Internals {
    return this.#client as unknown as Internals
  }

  #verify(key: Buffer, verify: (valid: boolean) => void): void {
    if (this.#phase === 'hello') this.#phase = 'handshake'
    if (this.#hostKey) {
      if (this.#hostKey.equals(key)) this.#guard(() => verify(true))
      else this.#fail(new KeytoolError('host-key-changed', `${this.#options.place} changed its host key on the way`))
      return
    }
    // A copy: the buffer is the engine's own and may be used again.
    this.#hostKey = Buffer.from(key)
    this.#asking(this.#options.verifyHostKey(this.#hostKey), () => verify(true))
  }

  #next(next: (attempt: unknown) => void): void {
    const refusal = this.#refusal
    if (refusal) this.#refusal = { ...refusal, partial: false }
    const { authentication } = this.#options
    this.#asking(
      this.#proved.then(() => authentication.next(refusal)),
      attempt => {
        this.#method = attempt.method
        next(this.#describe(attempt))
        if (attempt.method === 'password' && typeof attempt.password !== 'string') attempt.password.fill(0)
      },
    )
  }

  /** The attempt in ssh2's terms. Every key comes as an agent that holds this one: that is how ssh2 signs elsewhere. */
  #describe(attempt: Attempt): object {
    const username = this.#options.user
    switch (attempt.method) {
      case 'none':
        return { type: 'none', username }
      case 'password':
        return { type: 'password', username, password: attempt.password }
      case 'publickey':
        return { type: 'agent', username, agent: new OneKey(attempt.signer, (work, done) => this.#sign(work, done)) }
      case 'keyboard-interactive': {
        const prompt = (_n: string, _i: string, _l: string, questions: Question[], finish: (a: string[]) => void) =>
          this.#asking(attempt.answer(questions), finish)
        return { type: 'keyboard-interactive', username, prompt }
      }
    }
  }

  #sign(work: Promise<Buffer>, done: SignatureDone): void {
    const settled = work.then(
      signature => () => done(null, signature),
      error => {
        this.#options.authentication.noteSignError(error)
        return () => done(new Error('the key could not sign'))
      },
    )
    this.#asking(settled, answer => answer())
  }

  /** While `work` runs, on our side or the user's, the server's time stands still. */
  #asking<T>(work: Promise<T>, then: (value: T) => void): void {
    this.#clock.stop()
    work.then(
      value => {
        if (this.#failure || this.#socket.destroyed) return
        this.#clock.start(this.#phase)
        this.#guard(() => then(value))
      },
      error => this.#fail(error),
    )
  }

  #tooLate(time: number): void {
    const { place } = this.#options
    this.#noteHello()
    const silent = this.#phase !== 'hello' || this.#socket.bytesRead === 0
    const reason = `waited ${time / 1000} s for ${awaited[this.#phase]}`
    this.#fail(silent ? new KeytoolError('unreachable', `${place} does not answer`, { reason }) : noSsh(place))
  }

  /** ssh2 does not say when it has read the server's greeting. */
  #noteHello(): void {
    if (this.#phase === 'hello' && this.#internals._remoteVer !== undefined) this.#phase = 'handshake'
  }

  #ready(): void {
    this.#clock.stop()
    this.#phase = 'ready'
    this.#options.signal?.removeEventListener('abort', this.#abort)
  }

  readonly #abort = (): void => this.#fail(new KeytoolError('cancelled', 'connecting was cancelled'))

  #onError(error: EngineError): void {
    // A key that could not sign was noted where it failed; the next one is tried.
    if (error.level === 'agent') return
    this.#noteHello()
    if (this.#phase === 'hello' && this.#socket.bytesRead === 0 && error.level !== 'client-socket') {
      const reason = 'it closed the connection before a word was said'
      this.#fail(new KeytoolError('unreachable', `${this.#options.place} hangs up`, { reason }))
    } else {
      this.#fail(explainTrouble(error, this.#phase, this.#options.place))
    }
  }

  /** The first failure is the one that counts: later ones only follow from it. */
  #fail(error: unknown): void {
    const { place } = this.#options
    this.#failure ??= isKeytoolError(error) ? error : explainTrouble(error as EngineError, this.#phase, place)
    this.#clock.stop()
    this.#socket.destroy()
  }

  /** Runs code of ssh2 outside its own event handlers, where nobody else would catch what it throws. */
  #guard(call: () => void): void {
    try {
      call()
    } catch (error) {
      this.#fail(error)
    }
  }

  #over(): KeytoolError | undefined {
    this.#clock.stop()
    this.#options.signal?.removeEventListener('abort', this.#abort)
    const { place } = this.#options
    if (!this.#closing) this.#failure ??= new KeytoolError('unreachable', `${place} closed the connection`)
    const lost = this.#failure ?? new KeytoolError('unreachable', 'the connection was closed')
    for (const stream of this.#streams) stream.destroy(lost)
    return this.#closing ? undefined : this.#failure
  }

  #request<T>(ask: (resolve: (value: T) => void, reject: (error: KeytoolError) => void) => void): Promise<T> {
    return new Promise((resolve, reject) => {
      try {
        ask(resolve, reject)
      } catch (cause) {
        reject(this.#failure ?? new KeytoolError('unreachable', 'the connection is closed', { cause }))
      }
    })
  }

  #adopt(channel: RawChannel): ChannelStream {
    const stream = new ChannelStream(channel, done => this.#room.whenRoom(done))
    this.#streams.add(stream)
    stream.once('close', () => this.#streams.delete(stream))
    return stream
  }
}

/** One signer as an agent. */
class OneKey extends ssh2.BaseAgent<string> {
  readonly #signer: Signer
  readonly #settle: (work: Promise<Buffer>, done: SignatureDone) => void

  constructor(signer: Signer, settle: (work: Promise<Buffer>, done: SignatureDone) => void) {
    super()
    this.#signer = signer
    this.#settle = settle
  }

  override getIdentities(done: (error?: Error | null, keys?: string[]) => void): void {
    const { algorithm, blob } = this.#signer.publicKey
    done(null, [`${algorithm.name} ${blob.toString('base64')}`])
  }

  override sign(_key: unknown, data: Buffer, options: unknown, done?: unknown): void {
    const { hash } = options as { hash?: SignatureHash }
    this.#settle(signAsAsked(this.#signer, data, hash), done as SignatureDone)
  }
}
