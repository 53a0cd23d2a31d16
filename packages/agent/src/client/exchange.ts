import type { Socket } from 'node:net'
import { KeytoolError } from '@keytool/keygen'
import { decodeMessage, encodeMessage, isTooLong } from '../protocol/codec.js'
import { FrameSplitter } from '../protocol/frame.js'
import { type Row, replies } from '../protocol/messages.js'

/** What was asked for, as an error says it: `the agent refused to …`. */
export interface Wish {
  readonly wish: string
  readonly hint?: string
}

interface Waiter {
  /** Number of the reply that is a yes. */
  readonly expected: number
  readonly wish: Wish
  accept(body: Buffer): void
  fail(error: KeytoolError): void
}

/** A client's connection to an agent: requests go out at once, and each answer goes to whoever asked first. */
export class Exchange {
  readonly path: string
  readonly #socket: Socket
  readonly #timeout: number | undefined
  readonly #splitter = new FrameSplitter()
  /** Oldest first: an agent answers in order. */
  readonly #waiting: Waiter[] = []
  #end: KeytoolError | undefined

  /** @param timeout milliseconds that an answer may take */
  constructor(path: string, socket: Socket, timeout: number | undefined) {
    this.path = path
    this.#socket = socket
    this.#timeout = timeout
    socket.on('data', chunk => this.#receive(chunk))
    socket.on('error', cause => this.#stop(unreachable(path, 'the connection broke', cause)))
    socket.on('close', () => this.#stop(unreachable(path, 'it closed the connection')))
    // Runs only while somebody waits: see ask.
    socket.on('timeout', () => this.#stop(unreachable(path, `no answer in ${timeout} ms`)))
  }

  /**
   * @throws KeytoolError `refused` when the agent says no, `unreachable` when it is gone, `damaged` for an answer of
   * another kind, `failed` for a request that is too long
   */
  ask<Q, A>(request: Row<Q>, value: Q, reply: Row<A>, wish: Wish): Promise<A> {
    return new Promise((resolve, reject) => {
      if (this.#end) return reject(this.#end)
      const frame = encodeMessage(request, value)
      if (isTooLong(frame)) return reject(new KeytoolError('failed', 'the request is too long for an agent'))
      this.#waiting.push({
        wish,
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
        if (request.secret) frame.fill(0)
      })
    })
  }

  close(): void {
    this.#stop(unreachable(this.path, 'the connection was closed'))
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
      waiter.fail(refusal(waiter.wish))
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

function refusal({ wish, hint }: Wish): KeytoolError {
  return new KeytoolError('refused', `the agent refused to ${wish}`, hint ? { hint } : {})
}

export function unreachable(path: string, reason: string, cause?: unknown): KeytoolError {
  return new KeytoolError('unreachable', `no agent answers at ${path}`, { reason, hint: 'keytool agent', cause })
}
