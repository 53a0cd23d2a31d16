import { setMaxListeners } from 'node:events'
import type { Socket } from 'node:net'
import type { Agent, Client } from '../agent.js'
import { FrameSplitter } from '../protocol/frame.js'
import type { Peer } from '../who.js'
import type { Budget } from './budget.js'
import { type Treatment, treatmentOf } from './handlers.js'
import type { Holder, Holdings } from './holdings.js'

export interface ConnectionLimits {
  /** Requests of one connection that may be without an answer. Those behind them stay unread. */
  readonly pending: number
  /** Bytes of answers that may wait for a peer that does not read. Until it does, nothing more is read from it. */
  readonly output: number
}

/** What all connections of a service share. */
export interface Shared {
  readonly budget: Budget
  readonly holdings: Holdings
}

const NOTHING = Buffer.alloc(0)
/** Up to here answers that leave together are put together: a copy costs less than further writes. In bytes. */
const TOGETHER = 64 * 1024
/** What the requests of one connection may take of a turn of the event loop before the others have theirs. In milliseconds. */
const TURN = 1
/** How often a client is looked after that is owed answers and from which nothing is read: it may be gone. In milliseconds. */
const LOOK_AFTER = 500

interface Slot {
  reply: Buffer | undefined
}

/**
 * One client. Requests are worked on side by side, so that a slow signature holds up nothing but its own place in the
 * line, and answered strictly in the order they came.
 */
export class Connection implements Client, Holder {
  readonly #agent: Agent
  readonly #socket: Socket
  readonly #limits: ConnectionLimits
  readonly #shared: Shared
  readonly #splitter = new FrameSplitter()
  /** The answers owed, oldest first. */
  readonly #owed: Slot[] = []
  /** A request that was read and has to wait: the budget is used up. */
  #next: Buffer | undefined
  /** Bytes of the requests that are under way. */
  #working = 0
  /** A request is under way that the ones behind it must wait for. */
  #alone = false
  #flushing = false
  #resting = false
  #turnBegan = 0
  /** The last pump stopped because no more answers may be owed. */
  #capped = false
  #ended = false
  #served = false
  readonly #gone = new AbortController()
  #watch: NodeJS.Timeout | undefined
  readonly peer?: Peer

  /**
   * @param peer who is at the other end, where that is known
   */
  constructor(agent: Agent, socket: Socket, limits: ConnectionLimits, shared: Shared, peer?: Peer) {
    if (peer) this.peer = peer
    // One for each request that waits.
    setMaxListeners(0, this.#gone.signal)
    this.#shared = shared
    this.#socket = socket
    this.#limits = limits
    this.#agent = agent.forClient?.(this) ?? agent
    socket.on('data', chunk => this.#receive(chunk))
    socket.on('drain', () => this.#pump())
    socket.on('end', () => {
      this.#ended = true
      this.#finish()
      if (this.#owed.length === 0) return
      this.probe()
      this.#lookAfter()
    })
    // Whoever dies, even in the middle of a message, is simply gone; 'close' follows.
    socket.on('error', () => socket.destroy())
    socket.on('close', () => {
      clearInterval(this.#watch)
      this.#gone.abort()
      this.#splitter.clear()
      this.#next?.fill(0)
      shared.holdings.forget(this)
    })
  }

  get gone(): boolean {
    return this.#socket.destroyed
  }

  get held(): number {
    const { readableLength, writableLength } = this.#socket
    return readableLength + this.#splitter.held + (this.#next?.length ?? 0) + this.#working + writableLength
  }

  get signal(): AbortSignal {
    return this.#gone.signal
  }

  /** While nothing is read from it, only writing shows that the peer is gone. An empty write is enough, and sends nothing. */
  probe(): void {
    if (!this.#socket.destroyed && this.#socket.writableLength === 0) this.#socket.write(NOTHING)
  }

  /** True for one that makes room when too many are open: it never asked anything, stopped midway, or does not read. */
  get expendable(): boolean {
    return !this.#served || this.#splitter.midway || this.#isFull()
  }

  /** Whether it waits for no answer. */
  get isIdle(): boolean {
    return this.#owed.length === 0
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
    this.#turnBegan = performance.now()
    this.#pump()
  }

  /** Starts what may be started. Reading pauses while there is more, so a chunk is used up before the next one comes. */
  #pump(): void {
    if (this.#resting || this.#socket.destroyed) return
    this.#startMore()
    this.#look()
  }

  #startMore(): void {
    while (!this.#alone && this.#owed.length < this.#limits.pending && !this.#isFull()) {
      this.#next ??= this.#readNext()
      if (!this.#next) {
        if (this.#socket.isPaused()) this.#socket.resume()
        this.#finish()
        return
      }
      // What is under way comes by here again when it is answered.
      if (this.#owed.length > 0 && !this.#shared.budget.allows(this.#next.length)) break
      this.#start(this.#next)
      this.#next = undefined
      // Not to be left to the next answer: it may be one that is waited for.
      if (this.#isTurnOver()) {
        this.#rest()
        return
      }
    }
    this.#capped = this.#owed.length >= this.#limits.pending
    this.#socket.pause()
    this.#lookAfter()
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
    this.#working += length
    this.#shared.budget.take(length)
    void answer.then(reply => {
      this.#working -= length
      this.#shared.budget.giveBack(length)
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
    this.#write(ready)
    this.#look()
    if (this.#capped || this.#isTurnOver()) this.#rest()
    else this.#pump()
  }

  #write(answers: readonly Buffer[]): void {
    const size = answers.reduce((sum, { length }) => sum + length, 0)
    if (answers.length > 1 && size <= TOGETHER) {
      this.#socket.write(Buffer.concat(answers, size))
      return
    }
    this.#socket.cork()
    for (const answer of answers) this.#socket.write(answer)
    this.#socket.uncork()
  }

  /** For one that is destroyed nothing is held that somebody else could be in need of. */
  #look(): void {
    if (!this.#socket.destroyed) this.#shared.holdings.look(this)
  }

  /** Many requests in one chunk must not keep the other clients waiting: it is their turn before the next batch. */
  #rest(): void {
    if (this.#resting) return
    this.#resting = true
    this.#capped = false
    this.#socket.pause()
    setImmediate(() => {
      this.#resting = false
      this.#turnBegan = performance.now()
      this.#pump()
    })
  }

  /** A client that has said its last still gets what it is owed. */
  #finish(): void {
    if (this.#ended && this.#owed.length === 0) this.#socket.end()
  }

  /**
   * Both one that wants its answers still and one that is gone look like this: the end of what it sends. And one that
   * is not read from may be gone without a sign: questions would be put to the user on its behalf.
   */
  #lookAfter(): void {
    this.#watch ??= setInterval(() => {
      if (this.#ended || this.#socket.isPaused()) return this.probe()
      clearInterval(this.#watch)
      this.#watch = undefined
    }, LOOK_AFTER).unref()
  }

  #isTurnOver(): boolean {
    return performance.now() - this.#turnBegan > TURN
  }

  #isFull(): boolean {
    return this.#socket.writableLength > this.#limits.output
  }
}
