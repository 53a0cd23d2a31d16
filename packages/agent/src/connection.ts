import type { Socket } from 'node:net'
import type { Agent, Client } from './agent.js'
import type { Budget } from './budget.js'
import { type Treatment, treatmentOf } from './handlers.js'
import { FrameSplitter } from './protocol/frame.js'

export interface ConnectionLimits {
  /** Requests of one connection that may be without an answer. Those behind them stay unread. */
  readonly pending: number
  /** Bytes of answers that may wait for a peer that does not read. Until it does, nothing more is read from it. */
  readonly output: number
}

const NOTHING = Buffer.alloc(0)

interface Slot {
  reply: Buffer | undefined
}

/**
 * One client. Requests are worked on side by side, so that a slow signature holds up nothing but its own place in the
 * line, and answered strictly in the order they came.
 */
export class Connection implements Client {
  readonly #agent: Agent
  readonly #socket: Socket
  readonly #limits: ConnectionLimits
  readonly #budget: Budget
  readonly #splitter = new FrameSplitter()
  /** The answers owed, oldest first. */
  readonly #owed: Slot[] = []
  /** A request that was read and has to wait: the budget is used up. */
  #next: Buffer | undefined
  /** A request is under way that the ones behind it must wait for. */
  #alone = false
  #flushing = false
  #resting = false
  /** The last pump stopped because no more answers may be owed. */
  #capped = false
  #ended = false
  #served = false

  /** @param budget what is shared with the other connections */
  constructor(agent: Agent, socket: Socket, limits: ConnectionLimits, budget: Budget) {
    this.#agent = agent.forClient?.(this) ?? agent
    this.#budget = budget
    this.#socket = socket
    this.#limits = limits
    socket.on('data', chunk => this.#receive(chunk))
    socket.on('drain', () => this.#pump())
    socket.on('end', () => {
      this.#ended = true
      this.#finish()
    })
    // Whoever dies, even in the middle of a message, is simply gone; 'close' follows.
    socket.on('error', () => socket.destroy())
    socket.on('close', () => {
      this.#splitter.clear()
      this.#next?.fill(0)
    })
  }

  get gone(): boolean {
    return this.#socket.destroyed
  }

  /** While nothing is read from it, only writing shows that the peer is gone. An empty write is enough, and sends nothing. */
  probe(): void {
    if (!this.#socket.destroyed && this.#socket.writableLength === 0) this.#socket.write(NOTHING)
  }

  /** True for one that makes room when too many are open: it never asked anything, stopped midway, or does not read. */
  get expendable(): boolean {
    return !this.#served || this.#splitter.midway || this.#isFull()
  }

  destroy(): void {
    this.#socket.destroy()
  }

  #receive(chunk: Buffer): void {
    if (this.#socket.destroyed) {
      // Node still hands over what it had read before a write found the peer gone. It may be part of a key.
      chunk.fill(0)
      return
    }
    this.#splitter.push(chunk)
    this.#pump()
  }

  /** Starts what may be started. Reading pauses while there is more, so a chunk is used up before the next one comes. */
  #pump(): void {
    if (this.#resting || this.#socket.destroyed) return
    while (!this.#alone && this.#owed.length < this.#limits.pending && !this.#isFull()) {
      this.#next ??= this.#readNext()
      if (!this.#next) {
        if (this.#socket.isPaused()) this.#socket.resume()
        this.#finish()
        return
      }
      // What is under way comes by here again when it is answered.
      if (this.#owed.length > 0 && !this.#budget.allows(this.#next.length)) break
      this.#start(this.#next)
      this.#next = undefined
    }
    this.#capped = this.#owed.length >= this.#limits.pending
    this.#socket.pause()
  }

  #readNext(): Buffer | undefined {
    try {
      return this.#splitter.next()
    } catch {
      // Zero bytes or too many: where the next message starts can't be known, so there is nothing to go on with.
      this.#socket.destroy()
      return undefined
    }
  }

  #start(body: Buffer): void {
    this.#served = true
    const treatment = treatmentOf(body)
    const answer = treatment.answer(this.#agent, body)
    const slot: Slot = { reply: undefined }
    this.#owed.push(slot)
    if (Buffer.isBuffer(answer)) {
      this.#settle(slot, answer)
      return
    }
    if (treatment.alone) this.#alone = true
    const { length } = body
    this.#budget.take(length)
    void answer.then(reply => {
      this.#budget.giveBack(length)
      this.#settle(slot, reply, treatment)
    })
  }

  #settle(slot: Slot, reply: Buffer, treatment?: Treatment): void {
    slot.reply = reply
    if (treatment?.alone) this.#alone = false
    if (this.#flushing || this.#owed[0] !== slot) return
    // Answers that are ready in the same breath leave in one write.
    this.#flushing = true
    queueMicrotask(() => this.#flush())
  }

  #flush(): void {
    this.#flushing = false
    let count = 0
    while (this.#owed[count]?.reply) count++
    const ready = this.#owed.splice(0, count).flatMap(({ reply }) => reply ?? [])
    if (this.#socket.destroyed) return
    this.#socket.write(ready.length === 1 && ready[0] ? ready[0] : Buffer.concat(ready))
    if (this.#capped) this.#rest()
    else this.#pump()
  }

  /** Many requests in one chunk must not keep the other clients waiting: it is their turn before the next batch. */
  #rest(): void {
    this.#resting = true
    this.#capped = false
    setImmediate(() => {
      this.#resting = false
      this.#pump()
    })
  }

  /** A client that has said its last still gets what it is owed. */
  #finish(): void {
    if (this.#ended && this.#owed.length === 0) this.#socket.end()
  }

  #isFull(): boolean {
    return this.#socket.writableLength > this.#limits.output
  }
}
