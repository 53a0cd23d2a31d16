import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { Duplex } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Environment } from '@keytool/agent/platform'
import { KeytoolError, showForeign } from '@keytool/keygen'
import { LineReader } from './line-reader.js'
import { endProcessGroup } from './process-group.js'

export interface CommandStreamOptions {
  readonly env: Environment
  readonly signal?: AbortSignal | undefined
  readonly onStderr?: (line: string) => void
}

/** Once its output has ended, a command may take this long to say how it went, in milliseconds. */
const GRACE = 500

/** How often it is looked whether all was read, in milliseconds. */
const LOOK = 20

/**
 * Starts a command line in a shell.
 * @throws KeytoolError `cancelled`, `failed` when the shell can't be started
 */
export function startCommand(shell: string, line: string, options: CommandStreamOptions): Promise<Duplex> {
  return new Promise((resolve, reject) => {
    if (options.signal?.aborted) {
      reject(cancelled())
      return
    }
    // A group of its own, so that all the command starts can be ended with it.
    const child = spawn(shell, ['-c', line], { env: { ...options.env }, detached: true, stdio: 'pipe' })
    child.on('error', cause => {
      const { code } = cause as NodeJS.ErrnoException
      const message = `the shell ${showForeign(shell)} can't be started: ${code}`
      reject(new KeytoolError('failed', message, { hint: 'set SHELL to one that is there', cause }))
    })
    child.once('spawn', () => resolve(new CommandStream(child, options)))
  })
}

/** How a command ended: a signal or a status, `undefined` for status 0. */
interface End {
  readonly trouble: string | undefined
}

/** A command's standard input and output. */
class CommandStream extends Duplex {
  readonly #child: ChildProcessWithoutNullStreams
  readonly #exited: Promise<End>
  readonly #lines: LineReader
  #spoke = false

  constructor(child: ChildProcessWithoutNullStreams, { signal, onStderr }: CommandStreamOptions) {
    super({ allowHalfOpen: true })
    this.#child = child
    this.#lines = new LineReader(onStderr)
    this.#exited = new Promise(resolve => {
      child.once('exit', (status, by) => resolve({ trouble: status === 0 ? undefined : (by ?? `status ${status}`) }))
    })
    const abort = () => this.destroy(cancelled())
    const forget = () => signal?.removeEventListener('abort', abort)
    signal?.addEventListener('abort', abort, { once: true })
    this.once('close', forget)
    child.stderr.on('data', (chunk: Buffer) => this.#lines.add(chunk)).on('error', () => {})
    child.stdout.once('data', forget).on('data', (chunk: Buffer) => {
      this.#spoke = true
      if (!this.destroyed && !this.push(chunk)) child.stdout.pause()
    })
    child.stdout.once('end', () => this.#ended()).on('error', () => {})
    // What a write throws at a command that has ended is told by the write itself.
    child.stdin.on('error', () => {})
    // It may fail before anybody listens: whoever comes later finds it destroyed.
    this.on('error', () => {})
    child.stdout.pause()
  }

  override _read(): void {
    this.#child.stdout.resume()
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#child.stdin.write(chunk, error => {
      if (!error) return done()
      // A command that has ended says by its output and its status how: the write is not what matters.
      this.#afterExit(end =>
        done(end ? null : new KeytoolError('unreachable', 'the ProxyCommand takes nothing any more', { cause: error })),
      )
    })
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#child.stdin.end(() => done())
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    const { stdin, stdout, stderr, pid } = this.#child
    for (const stream of [stdin, stdout]) stream.destroy()
    endProcessGroup(pid, this.#exited).then(() => {
      stderr.destroy()
      done(error)
    })
  }

  /** The end of its output is an end, if the command says so or goes on without it. */
  #ended(): void {
    this.#afterExit(end => {
      const trouble = end?.trouble
      if (trouble !== undefined) this.#fail(`failed (${trouble})`)
      else if (!this.#spoke) this.#fail('ended without a word')
      else this.push(null)
    })
  }

  /** Tells how it ended, or `undefined` when it does not within the time. */
  #afterExit(then: (end: End | undefined) => void): void {
    const timeout = new AbortController()
    const late = sleep(GRACE, undefined, { signal: timeout.signal }).catch(() => undefined)
    Promise.race([this.#exited, late]).then(end => {
      timeout.abort()
      // Its last words may still be on their way.
      setImmediate(then, end)
    })
  }

  /** What came before is read first. */
  #fail(how: string): void {
    if (this.destroyed) return
    if (this.readableLength > 0) {
      setTimeout(() => this.#fail(how), LOOK)
      return
    }
    const words = this.#lines.last()
    this.destroy(
      new KeytoolError('unreachable', `the ProxyCommand ${how}`, words === undefined ? {} : { reason: words }),
    )
  }
}

function cancelled(): KeytoolError {
  return new KeytoolError('cancelled', 'connecting was cancelled')
}
