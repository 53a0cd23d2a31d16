import { connect, type Socket } from 'node:net'
import { KeytoolError, type PrivateKey, type Signature, type Signer } from '@keytool/keygen'
import { type Agent, type Identity, publicKeyOf } from './agent.js'
import { decodeMessage, encodeMessage, isTooLong } from './protocol/codec.js'
import { flagsOf } from './protocol/flags.js'
import { FrameSplitter } from './protocol/frame.js'
import {
  type Replies,
  type ReplyName,
  type RequestName,
  type Requests,
  type Row,
  replies,
  requests,
} from './protocol/messages.js'

export interface ConnectOptions {
  /**
   * Milliseconds that connecting, and then each answer, may take. Default: no limit, since an agent may be asking its
   * user something.
   */
  readonly timeout?: number
}

/** An agent at the other end of a socket. */
export interface AgentClient extends Agent {
  readonly path: string
  /** What it can sign with. Types that the table of algorithms does not have (certificates, hardware keys) are left out. */
  signers(): Promise<Signer[]>
  /** Lets go of the connection. Requests without an answer reject with `unreachable`. */
  close(): void
}

/**
 * Connects to an agent.
 * @param path a Unix socket or a Windows pipe, such as SSH_AUTH_SOCK names
 * @throws KeytoolError `unreachable` when no agent answers there
 */
export function connectAgent(path: string, options: ConnectOptions = {}): Promise<AgentClient> {
  return new Promise((resolve, reject) => {
    const socket = connect(path)
    const fail = (cause: Error) => {
      socket.destroy()
      reject(unreachable(path, explainConnect(cause), cause))
    }
    socket.once('error', fail)
    if (options.timeout) socket.setTimeout(options.timeout, () => fail(new Error('no answer in time')))
    socket.once('connect', () => {
      socket.off('error', fail)
      socket.setTimeout(0)
      socket.removeAllListeners('timeout')
      resolve(new Client(path, socket, options.timeout))
    })
  })
}

interface Waiter {
  /** Number of the reply that is a yes. */
  readonly expected: number
  readonly what: RequestName
  accept(body: Buffer): void
  fail(error: KeytoolError): void
}

/** What was asked for, as an error says it. */
const wishes: Partial<Record<RequestName, { readonly wish: string; readonly hint?: string }>> = {
  list: { wish: 'list its keys' },
  sign: { wish: 'sign', hint: 'keytool list shows whether it is locked or lacks the key' },
  add: { wish: 'take the key', hint: 'if it is locked: keytool unlock' },
  remove: { wish: 'remove the key', hint: 'keytool list shows whether it is locked or lacks the key' },
  removeAll: { wish: 'remove its keys', hint: 'if it is locked: keytool unlock' },
  lock: { wish: 'be locked', hint: 'it may be locked already' },
  unlock: { wish: 'be unlocked', hint: 'the passphrase is wrong, it was not locked, or too many others are trying' },
}

class Client implements AgentClient {
  readonly path: string
  readonly #socket: Socket
  readonly #timeout: number | undefined
  readonly #splitter = new FrameSplitter()
  /** Oldest first: an agent answers in order. */
  readonly #waiting: Waiter[] = []
  #end: KeytoolError | undefined

  constructor(path: string, socket: Socket, timeout: number | undefined) {
    this.path = path
    this.#socket = socket
    this.#timeout = timeout
    socket.on('data', chunk => this.#receive(chunk))
    socket.on('error', cause => this.#stop(unreachable(path, 'the connection broke', cause)))
    socket.on('close', () => this.#stop(unreachable(path, 'it closed the connection')))
    // Runs only while somebody waits: see #ask.
    socket.on('timeout', () => this.#stop(unreachable(path, `no answer in ${timeout} ms`)))
  }

  async list(): Promise<readonly Identity[]> {
    return (await this.#ask('list', {}, 'identities')).identities
  }

  async sign(blob: Buffer, data: Buffer, flags: number): Promise<Signature> {
    return (await this.#ask('sign', { key: blob, data, flags }, 'signature')).signature
  }

  /** Sends a copy and then wipes the key, as every agent does that takes a key over. */
  async add(key: PrivateKey): Promise<void> {
    const { algorithm, parts, comment } = key
    try {
      await this.#ask('add', { key: { algorithm, parts }, comment }, 'success')
    } finally {
      key.wipe()
    }
  }

  async remove(blob: Buffer): Promise<void> {
    await this.#ask('remove', { key: blob }, 'success')
  }

  async removeAll(): Promise<void> {
    await this.#ask('removeAll', {}, 'success')
  }

  async lock(passphrase: Buffer): Promise<void> {
    await this.#ask('lock', { passphrase }, 'success')
  }

  async unlock(passphrase: Buffer): Promise<void> {
    await this.#ask('unlock', { passphrase }, 'success')
  }

  async signers(): Promise<Signer[]> {
    return (await this.list()).flatMap(identity => this.#signer(identity) ?? [])
  }

  close(): void {
    this.#stop(unreachable(this.path, 'the connection was closed'))
  }

  #signer(identity: Identity): Signer | undefined {
    const publicKey = publicKeyOf(identity)
    return (
      publicKey && {
        publicKey,
        sign: (data, options = {}) =>
          this.sign(publicKey.blob, Buffer.from(data), flagsOf(publicKey.algorithm, options.hash)),
      }
    )
  }

  #ask<N extends RequestName, R extends ReplyName>(what: N, value: Requests[N], answer: R): Promise<Replies[R]> {
    return new Promise((resolve, reject) => {
      if (this.#end) return reject(this.#end)
      const row: Row<Requests[N]> = requests[what]
      const reply: Row<Replies[R]> = replies[answer]
      const frame = encodeMessage(row, value)
      if (isTooLong(frame)) return reject(new KeytoolError('failed', 'the request is too long for an agent'))
      this.#waiting.push({
        what,
        expected: reply.number,
        accept: body => {
          try {
            resolve(decodeMessage(reply, body))
          } catch (cause) {
            reject(new KeytoolError('damaged', "the agent's answer can't be read", { cause }))
          }
        },
        fail: reject,
      })
      if (this.#timeout && this.#waiting.length === 1) this.#socket.setTimeout(this.#timeout)
      this.#socket.write(frame, () => {
        if (row.secret) frame.fill(0)
      })
    })
  }

  #receive(chunk: Buffer): void {
    this.#splitter.push(chunk)
    try {
      for (let body = this.#splitter.next(); body; body = this.#splitter.next()) this.#answer(body)
    } catch (cause) {
      this.#stop(
        new KeytoolError('damaged', `what answers at ${this.path} does not speak the agent protocol`, { cause }),
      )
    }
  }

  #answer(body: Buffer): void {
    const waiter = this.#waiting.shift()
    if (!waiter) throw new KeytoolError('damaged', 'an answer came that nobody asked for')
    if (this.#waiting.length === 0) this.#socket.setTimeout(0)
    const [number] = body
    if (number === replies.failure.number || number === replies.extensionFailure.number) {
      waiter.fail(refusal(waiter.what))
    } else if (number !== waiter.expected) {
      waiter.fail(
        new KeytoolError('damaged', `the agent answered with message ${number} instead of ${waiter.expected}`),
      )
    } else {
      waiter.accept(body)
    }
  }

  #stop(reason: KeytoolError): void {
    this.#end ??= reason
    this.#socket.destroy()
    for (const waiter of this.#waiting.splice(0)) waiter.fail(this.#end)
  }
}

function refusal(what: RequestName): KeytoolError {
  const { wish = 'do that', hint } = wishes[what] ?? {}
  return new KeytoolError('refused', `the agent refused to ${wish}`, hint ? { hint } : {})
}

const connectReasons: Readonly<Record<string, string>> = {
  ENOENT: 'there is no socket',
  ECONNREFUSED: 'nobody listens on the socket',
  ENOTSOCK: 'it is not a socket',
  EACCES: 'permission denied',
  EPERM: 'permission denied',
  EAGAIN: 'it is too busy to answer',
}

function explainConnect(cause: Error): string {
  const { code } = cause as NodeJS.ErrnoException
  return code === undefined ? cause.message : (connectReasons[code] ?? code)
}

function unreachable(path: string, reason: string, cause?: unknown): KeytoolError {
  return new KeytoolError('unreachable', `no agent answers at ${path}`, { reason, hint: 'keytool agent', cause })
}
