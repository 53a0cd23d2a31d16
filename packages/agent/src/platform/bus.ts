import { connect, type Socket } from 'node:net'
import { KeytoolError } from '@keytool/keygen'
import { type BusCodec, type BusMessage, HEADER, loadBusCodec, sizeOf } from './bus-codec.js'

export interface BusCall {
  readonly destination: string
  readonly path: string
  readonly interface: string
  readonly member: string
  readonly signature?: string
  readonly body?: readonly unknown[]
}

export interface BusOptions {
  /** Milliseconds that the connection, and then each answer, may take. */
  readonly timeout: number
  /** A signal from whoever: see {@link BusMessage.sender}. */
  readonly onSignal: (signal: BusMessage) => void
  /** Once, and not after {@link Bus.close}. */
  readonly onEnd: (reason: KeytoolError) => void
}

/** A connection to a bus. It answers no calls. */
export interface Bus {
  /** Rejects with `refused` when the other one says no, `unreachable` when it says nothing. */
  call(call: BusCall): Promise<readonly unknown[]>
  close(): void
}

const DBUS = { destination: 'org.freedesktop.DBus', path: '/org/freedesktop/DBus', interface: 'org.freedesktop.DBus' }

/** A call of the bus's own. */
export function toBus(member: string, ...words: readonly string[]): BusCall {
  return { ...DBUS, member, signature: 's'.repeat(words.length), body: words }
}

/**
 * Connects to a bus as the user of this process.
 * @param address as the specification's "Server Addresses": `unix:path=…` or `unix:abstract=…`, several parted by `;`
 * @throws KeytoolError `unreachable`, also for an address of another kind
 */
export async function connectBus(address: string, options: BusOptions): Promise<Bus> {
  const codec = await loadBusCodec()
  let trouble: unknown
  for (const path of pathsOf(address)) {
    let link: Link | undefined
    try {
      link = new Link(await open(path, options.timeout), codec, options)
      await link.start()
      return link
    } catch (cause) {
      link?.close()
      trouble = cause
    }
  }
  throw unreachable('no bus answers', trouble)
}

/** Far above what is asked for here. What is larger is not looked at. In bytes. */
const MAX_MESSAGE = 64 * 1024
/** The specification's own limit, in bytes. */
const MAX_CLAIM = 128 * 1024 * 1024
const MAX_LINE = 1024

const METHOD_CALL = 1
const METHOD_RETURN = 2
const ERROR = 3
const SIGNAL = 4
/** Nothing is to be started because we ask for it. */
const NO_AUTO_START = 2

interface Waiter {
  accept(body: readonly unknown[]): void
  fail(error: KeytoolError): void
}

class Link implements Bus {
  readonly #socket: Socket
  readonly #codec: BusCodec
  readonly #options: BusOptions
  readonly #waiting = new Map<number, Waiter>()
  #serial = 0
  #held: Buffer = Buffer.alloc(0)
  /** Bytes still to come of a message that is not looked at. */
  #skip = 0
  /** Set until the bus has said who we are. */
  #greeting: Waiter | undefined
  #started = false
  #closed = false

  constructor(socket: Socket, codec: BusCodec, options: BusOptions) {
    this.#socket = socket
    this.#codec = codec
    this.#options = options
    socket.on('error', cause => this.#end(unreachable('the bus broke the connection', cause)))
    socket.on('close', () => this.#end(unreachable('the bus closed the connection')))
    socket.on('data', chunk => {
      try {
        this.#receive(chunk)
      } catch (cause) {
        this.#end(unreachable('the bus sent what is no message', cause))
      }
    })
  }

  /** "Authentication Protocol", then Hello, which gives us a name. */
  async start(): Promise<void> {
    const { timeout } = this.#options
    const uid = Buffer.from(`${process.getuid?.() ?? 0}`).toString('hex')
    await this.#waitFor(timeout, waiter => {
      this.#greeting = waiter
      this.#socket.write(`\0AUTH EXTERNAL ${uid}\r\n`)
    })
    await this.call(toBus('Hello'))
    this.#started = true
    // The agent stays for its clients, not for this.
    this.#socket.unref()
  }

  call(call: BusCall): Promise<readonly unknown[]> {
    if (this.#closed) return Promise.reject(unreachable('the connection to the bus is closed'))
    this.#serial++
    const serial = this.#serial
    const { marshall } = this.#codec
    return this.#waitFor(this.#options.timeout, waiter => {
      this.#waiting.set(serial, waiter)
      this.#socket.write(marshall({ ...call, type: METHOD_CALL, flags: NO_AUTO_START, serial }))
    }).finally(() => this.#waiting.delete(serial))
  }

  close(): void {
    this.#started = false
    this.#end(unreachable('the connection to the bus is closed'))
  }

  #waitFor(timeout: number, begin: (waiter: Waiter) => void): Promise<readonly unknown[]> {
    return new Promise((accept, fail) => {
      const timer = setTimeout(() => fail(unreachable(`the bus gave no answer in ${timeout} ms`)), timeout)
      const end =
        <T>(settle: (value: T) => void) =>
        (value: T) => {
          clearTimeout(timer)
          settle(value)
        }
      begin({ accept: end(accept), fail: end(fail) })
    })
  }

  #receive(chunk: Buffer): void {
    const skipped = Math.min(this.#skip, chunk.length)
    this.#skip -= skipped
    this.#held = Buffer.concat([this.#held, chunk.subarray(skipped)])
    if (this.#greeting && !this.#readLine(this.#greeting)) return
    while (this.#held.length >= HEADER) {
      const size = sizeOf(this.#held)
      if (size > MAX_CLAIM) throw unreachable('a message is too long')
      if (size > MAX_MESSAGE) this.#skip = Math.max(0, size - this.#held.length)
      else if (this.#held.length < size) return
      const message = this.#held.subarray(0, size)
      this.#held = this.#held.subarray(size)
      if (size <= MAX_MESSAGE) this.#take(this.#codec.unmarshall(message))
    }
  }

  #readLine(greeting: Waiter): boolean {
    const end = this.#held.indexOf('\r\n')
    if (end === -1 && this.#held.length <= MAX_LINE) return false
    if (!this.#held.toString('latin1').startsWith('OK ')) throw unreachable('it does not let us in')
    this.#held = this.#held.subarray(end + 2)
    this.#greeting = undefined
    this.#socket.write('BEGIN\r\n')
    greeting.accept([])
    return true
  }

  #take(message: BusMessage): void {
    const { type, replySerial, errorName, body } = message
    if (type === SIGNAL) {
      if (this.#started) this.#options.onSignal(message)
      return
    }
    const waiter = replySerial === undefined ? undefined : this.#waiting.get(replySerial)
    if (type === METHOD_RETURN) waiter?.accept(body)
    if (type === ERROR) waiter?.fail(new KeytoolError('refused', 'the bus says no', { reason: String(errorName) }))
  }

  #end(reason: KeytoolError): void {
    if (this.#closed) return
    this.#closed = true
    this.#socket.destroy()
    this.#greeting?.fail(reason)
    for (const waiter of this.#waiting.values()) waiter.fail(reason)
    if (this.#started) this.#options.onEnd(reason)
  }
}

function open(path: string, timeout: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(path)
    socket.setTimeout(timeout, () => socket.destroy(new Error('no answer in time')))
    socket.once('error', reject)
    socket.once('connect', () => {
      socket.setTimeout(0)
      socket.off('error', reject)
      resolve(socket)
    })
  })
}

/** Linux's abstract names begin with a zero byte. */
const prefixes: ReadonlyMap<string, string> = new Map([
  ['path', ''],
  ['abstract', '\0'],
])

function pathsOf(address: string): string[] {
  return address.split(';').flatMap(each => {
    const [kind, rest = ''] = each.split(/:(.*)/s)
    if (kind !== 'unix') return []
    return rest.split(',').flatMap(pair => {
      const [name = '', value = ''] = pair.split(/=(.*)/s)
      const prefix = prefixes.get(name)
      return prefix === undefined ? [] : `${prefix}${decodeURIComponent(value)}`
    })
  })
}

function unreachable(what: string, cause?: unknown): KeytoolError {
  return new KeytoolError('unreachable', what, { cause })
}
