/**
 * The only file that knows ssh2. Nothing of it leaves: callers see a {@link Connection}, and every failure as a
 * KeytoolError. What a server sends can end the connection, never the process: errors of any kind end in `#fail`.
 */
import type { Duplex } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { isKeytoolError, KeytoolError } from '@keytool/keygen'
import ssh2 from 'ssh2'
import { carryAgent, type OpeningEngine } from './agent-channel.js'
import type { Offer } from './algorithms.js'
import type { Authentication } from './auth.js'
import { type Beneath, mendHandlers } from './beneath.js'
import { Channels } from './channels.js'
import type { Connection } from './connection.js'
import { disguiseNews, HostKeyNews, type OnHostKeys } from './host-key-news.js'
import { checkInsides, watchPayloads } from './insides.js'
import { Exchanges, type HostProof } from './kex/exchanges.js'
import { Login, type SignatureDone, type SignFor } from './login.js'
import { explainNoMatch } from './no-match.js'
import { Notices, type OnNotice } from './notices.js'
import { OpenedConnection, type OpeningClient } from './opened.js'
import { isBeforeItsTurn } from './order.js'
import { loadOpenssl } from './packets/openssl.js'
import { takePackets } from './packets/take-over.js'
import { replacePublicKeyAuth } from './public-key.js'
import { Remarks } from './remarks.js'
import { awaited, StepClock, type StepTimes } from './step-clock.js'
import { type EngineError, explainGreeting, explainTrouble, type Phase } from './trouble.js'

type Client = InstanceType<typeof ssh2.Client>

/** A dead connection is noticed after three unanswered questions. */
const KEEPALIVE = { interval: 15_000, count: 3 }
/** How long a polite goodbye may take, and before it what the host has begun to say of its keys, in milliseconds. */
const GOODBYE_TIME = 2_000
const NEWS_TIME = 1_000
/** As much as an identification may have (RFC 4253 section 4.2): what answers is told by its first words. */
const MAX_HEARD = 255

export interface EngineOptions {
  /** For texts: `host:port`, ready to be shown. */
  readonly place: string
  readonly user: string
  readonly offer: Offer
  /** Returns when the key is the host's; throws when it is not. Called once; a later key exchange must show the same. */
  readonly verifyHostKey: (blob: Buffer) => Promise<void>
  /** Called once the host has proved that the key is its own, before anything is sent to it. */
  readonly hostProved: (proof: HostProof) => Promise<void>
  readonly onHostKeys?: OnHostKeys | undefined
  readonly authentication: Authentication
  readonly keepalive?: { readonly interval: number; readonly count: number } | undefined
  readonly stepTime?: number | undefined
  readonly handshakeTime?: number | undefined
  readonly onNotice?: OnNotice | undefined
  /** A new connection to the agent, for sessions that forward it. */
  readonly openAgent?: (() => Promise<Duplex>) | undefined
  readonly signal?: AbortSignal | undefined
}

/**
 * Speaks SSH on a connected socket and logs in. The socket becomes the connection's own.
 * @throws KeytoolError `unreachable`, `damaged`, `unsupported`, `secret-wrong`, `secret-needed`, `cancelled`, and
 * whatever the callbacks throw
 */
export async function openConnection(socket: Duplex, options: EngineOptions): Promise<Connection> {
  await loadOpenssl()
  return new Engine(socket, options).opened
}

class Engine {
  readonly opened: Promise<Connection>
  readonly #closed: Promise<KeytoolError | undefined>
  readonly #client: Client = new ssh2.Client()
  readonly #socket: Duplex
  readonly #options: EngineOptions
  readonly #channels: Channels
  readonly #clock: StepClock
  readonly #login: Login
  #exchanges: Exchanges | undefined
  #news: HostKeyNews | undefined
  readonly #remarks = new Remarks()
  #received = 0
  /** The first words of whoever answers, as Latin-1. */
  #heard = ''
  #phase: Phase = 'hello'
  #failure: KeytoolError | undefined
  #closing = false
  #hostKey: Buffer | undefined
  #proved: Promise<void> = Promise.resolve()
  /** Whether we or the user are at work on what the server asked last. */
  #asked = false

  constructor(socket: Duplex, options: EngineOptions) {
    this.#socket = socket
    this.#options = options
    this.#channels = new Channels(
      socket,
      () => this.#failure,
      () => this.#beneath._protocol._kexinit !== undefined,
    )
    this.#clock = new StepClock(readTimes(options), time => this.#tooLate(time))
    this.#login = new Login({
      ...options,
      software: () => this.#beneath._remoteVer,
      proved: () => this.#proved,
      asking: (work, then) => this.#asking(work, then),
      asAgent: sign => new OneKey(sign),
    })
    this.#closed = new Promise(resolve => this.#client.once('close', () => resolve(this.#over())))
    this.opened = new Promise((resolve, reject) => {
      this.#client.once('ready', () => {
        this.#ready()
        resolve(this.#open())
      })
      this.#closed.then(error => reject(error ?? new KeytoolError('cancelled', 'the connection was closed')))
    })
    options.signal?.addEventListener('abort', this.#abort)
    this.#start()
  }

  #open(): Connection {
    return new OpenedConnection({
      client: this.#client as unknown as OpeningClient & Beneath,
      channels: this.#channels,
      admission: { method: this.#login.method, offered: this.#options.authentication.offered },
      software: this.#beneath._remoteVer ?? '',
      remarks: this.#remarks.texts,
      closed: this.#closed,
      failure: () => this.#failure,
      broken: () => this.#broken,
      close: () => this.#close(),
    })
  }

  async #close(): Promise<void> {
    // A command may be done before the host has proved its new keys: they are waited for, for a moment.
    await Promise.race([this.#news?.settled, this.#closed, sleep(NEWS_TIME, undefined, { ref: false })])
    this.#closing = true
    this.#channels.cut(new KeytoolError('unreachable', 'the connection was closed'))
    try {
      this.#client.end()
    } catch {
      this.#socket.destroy()
    }
    const timer = setTimeout(() => this.#socket.destroy(), GOODBYE_TIME)
    await this.#closed
    clearTimeout(timer)
  }

  #start(): void {
    const { user, offer, keepalive = KEEPALIVE } = this.#options
    const client = this.#client
    client.on('error', error => this.#onError(error as EngineError))
    client.on('handshake', () => {
      if (this.#phase !== 'hello' && this.#phase !== 'handshake') {
        // In this turn what the engine kept back itself still goes out.
        setImmediate(() => this.#channels.goOn())
        return
      }
      this.#phase = 'login'
      this.#clock.stop()
      // Auth packets may already be on their way; the login waits for this before it sends anything secret.
      this.#proved = this.#hostProved()
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
        algorithms: offer as unknown as ssh2.Algorithms,
        hostVerifier: (key: Buffer, verify: (valid: boolean) => void) => this.#verify(key, verify),
        authHandler: (_methods, _partial, next) => this.#login.next(next as (attempt: unknown) => void),
        // Dropbear and others have OpenSSH's extensions, too.
        strictVendor: false,
        ...(this.#options.openAgent && { agent: new NoKeys() }),
        readyTimeout: 0,
        keepaliveInterval: keepalive.interval,
        keepaliveCountMax: keepalive.count,
      })
      this.#takeOver()
      const { openAgent } = this.#options
      if (openAgent) {
        carryAgent(client as unknown as OpeningEngine, openAgent, channel => this.#channels.adopt(channel))
      }
      // Before the engine: what it makes of them is explained by them.
      this.#socket.prependListener('data', (chunk: Buffer) => {
        if (this.#heard.length < MAX_HEARD) this.#heard += chunk.toString('latin1', 0, MAX_HEARD - this.#heard.length)
      })
      this.#socket.on('data', (chunk: Buffer) => {
        this.#received += chunk.length
        // Answers that nobody reads would pile up in memory: an honest server reads them.
        if (this.#channels.isOverfull) this.#fail(this.#breach('it asks and reads no answers'))
      })
      // A stream that may be half open does not close by itself when the other side is done.
      this.#socket.on('end', () => this.#socket.destroy())
      this.#clock.start(this.#phase)
      if (this.#options.signal?.aborted) this.#abort()
      // It closed while the engine was loaded.
      if (this.#socket.destroyed) process.nextTick(() => client.emit('close'))
    } catch (error) {
      // ssh2 may not have got so far as to watch the socket.
      this.#socket.once('close', () => client.emit('close'))
      this.#fail(error)
    }
  }

  /** Before anything was said: what the engine lacks, and what it does wrong. */
  #takeOver(): void {
    const engine = this.#beneath
    const { offer, onHostKeys, onNotice } = this.#options
    const notices = new Notices(onNotice)
    const exchanges = new Exchanges(checkInsides(engine._protocol), offer.more, error => this.#fail(error))
    this.#exchanges = exchanges
    takePackets(engine._protocol, this.#socket)
    watchPayloads(engine._protocol, payload => {
      if (isBeforeItsTurn(payload[0], this.#phase, this.#login.hasAsked))
        throw this.#breach('it goes on before its turn')
      return disguiseNews(exchanges.onPayload(payload))
    })
    if (onHostKeys) this.#news = new HostKeyNews(engine, onHostKeys, () => this.#failure)
    replacePublicKeyAuth(engine._protocol, () => this.#login.credential)
    mendHandlers(engine, {
      onRefusal: (methods, partial) => this.#login.noteRefusal(methods, partial),
      onSignatureAlgorithms: names => this.#login.noteAccepted(names),
      onKeyTaken: blob => {
        if (!this.#login.credential.blob.equals(blob)) throw this.#breach('it takes a key that was not offered')
      },
      onGlobalRequest: (name, data) => {
        if (this.#phase === 'ready') this.#news?.onRequest(name, data)
      },
      // Those of the login itself come together with it, before the engine has said that the user is in.
      onRemark: text => this.#remarks.note(text),
      onBanner: text => {
        if (this.#phase === 'login') notices.banner(text)
      },
      onQuestions: (...said) => {
        if (this.#phase === 'login' && this.#login.method === 'keyboard-interactive') notices.questions(...said)
      },
    })
  }

  async #hostProved(): Promise<void> {
    const proof = this.#exchanges?.hostProof
    if (!proof) throw this.#breach('it has not shown its key')
    await this.#options.hostProved(proof)
  }

  /** Why nothing can be asked of the server any more. */
  get #broken(): KeytoolError | undefined {
    if (this.#failure || !(this.#closing || this.#socket.destroyed)) return this.#failure
    return new KeytoolError('unreachable', 'the connection was closed')
  }

  get #beneath(): Beneath {
    return this.#client as unknown as Beneath
  }

  #verify(key: Buffer, verify: (valid: boolean) => void): void {
    if (this.#phase === 'hello') this.#phase = 'handshake'
    const blob = this.#exchanges?.noteHostKey(key) ?? Buffer.from(key)
    if (this.#hostKey) {
      if (this.#hostKey.equals(blob)) this.#guard(() => verify(true))
      else this.#fail(new KeytoolError('host-key-changed', `${this.#options.place} changed its host key on the way`))
      return
    }
    this.#hostKey = blob
    this.#asking(
      () => this.#options.verifyHostKey(blob),
      () => verify(true),
    )
  }

  /** While `work` runs, on our side or the user's, the server's time stands still, and it has nothing to say. */
  #asking<T>(work: () => Promise<T>, then: (value: T) => void): void {
    if (this.#asked) return void this.#fail(this.#breach('it answers what was not asked'))
    this.#asked = true
    this.#clock.stop()
    work().then(
      value => {
        this.#asked = false
        // A server that let the user in meanwhile needs no answer any more.
        if (this.#failure || this.#socket.destroyed || this.#phase === 'ready') return
        this.#clock.start(this.#phase)
        this.#guard(() => then(value))
      },
      error => this.#fail(error),
    )
  }

  #breach(reason: string): KeytoolError {
    return new KeytoolError('damaged', `${this.#options.place} breaks the SSH protocol`, { reason })
  }

  #tooLate(time: number): void {
    const { place } = this.#options
    this.#noteHello()
    const reason = `waited ${time / 1000} s for ${awaited[this.#phase]}`
    const other = this.#phase === 'hello' ? explainGreeting(place, this.#heard) : undefined
    this.#fail(other ?? new KeytoolError('unreachable', `${place} does not answer`, { reason }))
  }

  /** ssh2 does not say when it has read the server's greeting. */
  #noteHello(): void {
    if (this.#phase === 'hello' && this.#beneath._remoteVer !== undefined) this.#phase = 'handshake'
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
    if (this.#phase === 'hello' && this.#received === 0 && error.level !== 'client-socket') {
      const reason = 'it closed the connection before a word was said'
      this.#fail(new KeytoolError('unreachable', `${this.#options.place} hangs up`, { reason }))
    } else {
      this.#fail(this.#explain(error))
    }
  }

  #explain(error: EngineError): KeytoolError {
    const { place, offer } = this.#options
    const server = this.#exchanges?.serverOffer
    if (server && /no matching/i.test(error.message) && error.level === 'handshake') {
      return explainNoMatch(place, offer, server, error)
    }
    // Our own, thrown in the middle of what the engine reads; with a level it is the stream beneath that broke.
    if (error.level === undefined && isKeytoolError(error)) {
      return error.code === 'damaged' ? this.#breach(error.reason ?? error.message) : error
    }
    return explainTrouble(error, this.#phase, place, this.#heard)
  }

  /** The first failure is the one that counts: later ones only follow from it. */
  #fail(error: unknown): void {
    const { place } = this.#options
    this.#failure ??= isKeytoolError(error)
      ? error
      : explainTrouble(error as EngineError, this.#phase, place, this.#heard)
    this.#clock.stop()
    this.#socket.destroy()
  }

  /** Runs code of ssh2 outside its own event handlers, where nobody else would catch what it throws. */
  #guard(call: () => void): void {
    try {
      call()
    } catch (error) {
      this.#onError(error as EngineError)
    }
  }

  #over(): KeytoolError | undefined {
    this.#clock.stop()
    this.#options.signal?.removeEventListener('abort', this.#abort)
    const { place } = this.#options
    if (!this.#closing) this.#failure ??= new KeytoolError('unreachable', `${place} closed the connection`)
    this.#channels.cut(this.#failure ?? new KeytoolError('unreachable', 'the connection was closed'))
    return this.#closing ? undefined : this.#failure
  }
}

function readTimes({ stepTime: each, handshakeTime: first = each }: EngineOptions): StepTimes {
  return {
    ...(each !== undefined && { login: each, ready: each }),
    ...(first !== undefined && { hello: first, handshake: first }),
  }
}

/** A key of the one type that the engine never asks itself how to use. What is really offered is known elsewhere. */
const STAND_IN = `ssh-ed25519 ${Buffer.concat([
  Buffer.from('\0\0\0\x0bssh-ed25519\0\0\0\x20', 'latin1'),
  Buffer.alloc(32),
]).toString('base64')}`

/** One signer as an agent: that is how ssh2 has others sign. */
class OneKey extends ssh2.BaseAgent<string> {
  readonly #sign: SignFor

  constructor(sign: SignFor) {
    super()
    this.#sign = sign
  }

  override getIdentities(done: (error?: Error | null, keys?: string[]) => void): void {
    done(null, [STAND_IN])
  }

  override sign(_key: unknown, data: Buffer, _options: unknown, done?: unknown): void {
    this.#sign(data, done as SignatureDone)
  }
}

/** What the engine wants to see before it lets a session forward an agent. It is never asked for anything. */
class NoKeys extends ssh2.BaseAgent<string> {
  override getIdentities(done: (error?: Error | null, keys?: string[]) => void): void {
    done(null, [])
  }

  override sign(): void {}
}
