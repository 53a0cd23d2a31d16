import { isKeytoolError, KeytoolError, Reader, showForeign, Writer } from '@keytool/keygen'
import type { RemoteSession } from '../connection/connection.js'
import { Frames } from './frames.js'
import {
  EXTENDED,
  hello,
  type Replies,
  type ReplyName,
  type RequestName,
  type Requests,
  replies,
  requests,
} from './messages.js'
import { SftpRefusal, status } from './status.js'

/** For each answer, in milliseconds. */
const TIMEOUT = 30_000
/** For the first: what is no SFTP server may never say a word. */
const GREETING = 15_000
/** For all answers together: one that says a byte every half minute would keep us for years. */
const PATIENCE = 300_000
/** Extensions that are looked at, and how long their names may be. */
const MAX_EXTENSIONS = 64
const MAX_EXTENSION = 1024
/** What is kept of a server's words on stderr, in bytes. */
const MAX_SAID = 1024

export interface SftpOptions {
  /** For each answer, in milliseconds. Default 30 s, for the first 15 s. */
  readonly timeout?: number
  /** For all answers together, in milliseconds; what passes between them does not count. Default 5 min. */
  readonly patience?: number
}

type Answer = { readonly [N in ReplyName]: { readonly name: N; readonly value: Replies[N] } }[ReplyName]

interface Waiting {
  resolve(answer: Answer): void
  reject(error: KeytoolError): void
}

const byNumber: ReadonlyMap<number, ReplyName> = new Map(
  (Object.keys(replies) as ReplyName[]).map(name => [replies[name].number, name]),
)

/** Requests and their answers, on one open subsystem (draft-ietf-secsh-filexfer-02 section 3). */
export class SftpChannel {
  readonly #session: RemoteSession
  readonly #timeout: number
  /** Of the patience. */
  #left: number
  readonly #waiting = new Map<number, Waiting>()
  readonly #frames = new Frames()
  #extensions: ReadonlySet<string> = new Set()
  #nextId = 0
  /** Who waits for the server's version; gone once it is there. */
  #greeting: Waiting | undefined
  /** What comes in place of a version, and on stderr: the words of a shell that is none. */
  #said = ''
  #failure: KeytoolError | undefined

  private constructor(session: RemoteSession, { timeout = TIMEOUT, patience = PATIENCE }: SftpOptions) {
    this.#session = session
    this.#timeout = timeout
    this.#left = patience
    session.stdout.on('data', (chunk: Buffer) => this.#take(chunk))
    // A channel that is cut after a few words: those say more.
    session.stdout.on('error', error => {
      const trouble = isKeytoolError(error) ? error : lost(error)
      this.#fail(this.#said === '' ? trouble : (this.#notSpoken ?? trouble))
    })
    session.stdout.on('end', () => this.#fail(this.#notSpoken ?? lost()))
    session.stdout.on('close', () => this.#fail(lost()))
    // Its errors are those of the stream that is read.
    session.stdin.on('error', () => {})
    session.stderr.on('data', (chunk: Buffer) => this.#note(chunk)).on('error', () => {})
  }

  /**
   * Greets the server.
   * @throws KeytoolError `unsupported` when what runs there does not speak SFTP, `unreachable`
   */
  static async open(session: RemoteSession, options: SftpOptions = {}): Promise<SftpChannel> {
    const channel = new SftpChannel(session, options)
    await channel.#greet()
    return channel
  }

  /** Whether the server said that it knows the extension. */
  knows(extension: string): boolean {
    return this.#extensions.has(extension)
  }

  /**
   * Asks, and waits for an answer of the kind that is expected.
   * @throws SftpRefusal for the server's no; KeytoolError `unreachable` without an answer, `damaged` for a wrong one
   */
  async ask<N extends RequestName, R extends ReplyName>(name: N, value: Requests[N], expected: R): Promise<Replies[R]> {
    const { number, extension, fields } = requests[name]
    const id = this.#nextId
    this.#nextId = (id + 1) >>> 0
    const writer = new Writer().byte(number).uint32(id)
    if (number === EXTENDED && extension !== undefined) writer.text(extension)
    fields.write(writer, value)
    const answer = await this.#wait(this.#timeout, waiting => {
      this.#waiting.set(id, waiting)
      this.#send(writer.done())
    })
    if (answer.name === expected) return answer.value as Replies[R]
    if (answer.name === 'status') throw new SftpRefusal(answer.value.code, answer.value.message)
    throw this.#fail(breach(`it answers ${answer.name} to ${name}`))
  }

  /** The same for what is answered by a status alone. */
  async do<N extends RequestName>(name: N, value: Requests[N]): Promise<void> {
    const { code, message } = await this.ask(name, value, 'status')
    if (code !== status.ok) throw new SftpRefusal(code, message)
  }

  close(): void {
    this.#fail(new KeytoolError('unreachable', 'the file transfer was closed'))
  }

  async #greet(): Promise<void> {
    await this.#wait(Math.min(GREETING, this.#timeout), waiting => {
      this.#greeting = waiting
      this.#send(new Writer().byte(hello.init).uint32(hello.speaks).done())
    })
  }

  /** The answer to what `ask` sends; no answer in time is the end of the channel. */
  async #wait(time: number, ask: (waiting: Waiting) => void): Promise<Answer> {
    let timer: NodeJS.Timeout | undefined
    const start = performance.now()
    try {
      return await new Promise<Answer>((resolve, reject) => {
        if (this.#failure) throw this.#failure
        const late = () => {
          const reason = time <= this.#left ? `waited ${time / 1000} s` : 'it takes far too long, answer by answer'
          this.#fail(this.#notSpoken ?? new KeytoolError('unreachable', 'the SFTP server does not answer', { reason }))
        }
        timer = setTimeout(late, Math.max(0, Math.min(time, this.#left)))
        ask({ resolve, reject })
      })
    } finally {
      clearTimeout(timer)
      this.#left -= performance.now() - start
    }
  }

  #send(body: Buffer): void {
    this.#session.stdin.write(Buffer.concat([new Writer().uint32(body.length).done(), body]))
  }

  #take(chunk: Buffer): void {
    if (this.#failure) return
    if (this.#greeting) this.#note(chunk)
    try {
      this.#frames.push(chunk)
      for (let body = this.#frames.next(); body; body = this.#frames.next()) {
        if (this.#greeting) this.#greeted(body)
        else this.#answer(body)
      }
    } catch (error) {
      const trouble = isKeytoolError(error) ? error.message : String(error)
      this.#fail(this.#notSpoken ?? breach(trouble))
    }
  }

  #answer(body: Buffer): void {
    const reader = new Reader(body)
    const number = reader.byte()
    const name = byNumber.get(number)
    if (name === undefined) throw new KeytoolError('damaged', `it sends a message of number ${number}`)
    const id = reader.uint32()
    const waiting = this.#waiting.get(id)
    if (!waiting) throw new KeytoolError('damaged', 'it answers what was not asked')
    const value = replies[name].fields.read(reader)
    reader.end()
    this.#waiting.delete(id)
    waiting.resolve({ name, value } as Answer)
  }

  /** SSH_FXP_VERSION: a server of a later protocol answers with ours. */
  #greeted(body: Buffer): void {
    const reader = new Reader(body)
    if (reader.byte() !== hello.version) throw new KeytoolError('damaged', 'it does not say its version')
    const version = reader.uint32()
    if (version < hello.speaks) throw new KeytoolError('damaged', `it speaks version ${version}`)
    const extensions = new Set<string>()
    while (reader.left > 0) {
      const name = reader.string(MAX_EXTENSION).toString('latin1')
      reader.string()
      if (extensions.size === MAX_EXTENSIONS) throw new KeytoolError('damaged', 'it has extensions without end')
      extensions.add(name)
    }
    this.#extensions = extensions
    const { resolve } = this.#greeting ?? {}
    this.#greeting = undefined
    resolve?.({ name: 'status', value: { code: status.ok, message: '' } })
  }

  #note(chunk: Buffer): void {
    if (this.#said.length < MAX_SAID) this.#said += chunk.subarray(0, MAX_SAID).toString('utf8')
  }

  /** Why nothing was understood before the greeting was done. */
  get #notSpoken(): KeytoolError | undefined {
    if (!this.#greeting) return undefined
    const [line = ''] = this.#said.trim().split('\n')
    const reason = line === '' ? 'nothing answers there' : `it says: ${showForeign(line, 100)}`
    return new KeytoolError('unsupported', 'the server starts something else in place of SFTP', {
      reason,
      hint: 'a forced command, a login shell that lets nobody in, or one that prints at its start does that',
    })
  }

  /** The first failure counts. All who wait are told, and nobody is answered any more. */
  #fail(error: KeytoolError): KeytoolError {
    if (this.#failure) return this.#failure
    this.#failure = error
    const waiting = [...this.#waiting.values(), ...(this.#greeting ? [this.#greeting] : [])]
    this.#waiting.clear()
    this.#greeting = undefined
    for (const { reject } of waiting) reject(error)
    this.#session.close()
    return error
  }
}

function lost(cause?: unknown): KeytoolError {
  return new KeytoolError('unreachable', 'the SFTP server is gone', { cause })
}

function breach(reason: string): KeytoolError {
  return new KeytoolError('damaged', 'the server breaks the SFTP protocol', { reason })
}
