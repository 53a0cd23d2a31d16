import { KeytoolError } from '@keytool/keygen'
import type { RawChannel } from './channel.js'
import type { ExecOptions, ExecResult } from './connection.js'

const CAP = 1 << 20
const TIMEOUT = 60_000

/**
 * Feeds a command's channel and gathers what it says.
 * @param lost settles when the connection is over
 * @throws KeytoolError `damaged` over the cap; `unreachable` when time or the connection ran out
 */
export function collectExec(
  channel: RawChannel,
  lost: Promise<KeytoolError | undefined>,
  options: ExecOptions,
): Promise<ExecResult> {
  const { stdin, cap = CAP, timeout = TIMEOUT } = options
  return new Promise((resolve, reject) => {
    const stdout = new Capped(cap)
    const stderr = new Capped(cap)
    const exit: { status?: number; signal?: string } = {}
    const stop = (error: KeytoolError) => {
      clearTimeout(timer)
      reject(error)
      channel.close()
      channel.resume()
      channel.stderr.resume()
    }
    const timer = setTimeout(() => {
      stop(new KeytoolError('unreachable', `the command is not done after ${timeout / 1000} s`))
    }, timeout)
    const gather = (part: Capped) => (chunk: Buffer) => {
      if (!part.add(chunk)) stop(new KeytoolError('damaged', `the command says more than ${cap} bytes`))
    }
    channel.on('data', gather(stdout))
    channel.stderr.on('data', gather(stderr))
    channel.on('exit', (status: number | null, signal?: string) => {
      if (status !== null) exit.status = status
      if (signal !== undefined) exit.signal = signal
    })
    channel.on('error', cause => stop(new KeytoolError('unreachable', 'the command was cut off', { cause })))
    channel.on('close', () => {
      const finish = () => {
        clearTimeout(timer)
        resolve({ ...exit, stdout: stdout.whole(), stderr: stderr.whole() })
      }
      // Without an exit status it may be the connection that ended: `lost` is then settled in this very turn.
      if (exit.status === undefined) setImmediate(finish)
      else finish()
    })
    // A command cut off by the end of the connection has no result, whatever it had said until then.
    lost.then(error => stop(error ?? new KeytoolError('unreachable', 'the connection was closed')))
    channel.end(stdin ?? Buffer.alloc(0))
  })
}

class Capped {
  readonly #parts: Buffer[] = []
  readonly #cap: number
  #length = 0

  constructor(cap: number) {
    this.#cap = cap
  }

  /** False when the cap is passed; nothing more is kept then. */
  add(chunk: Buffer): boolean {
    this.#length += chunk.length
    if (this.#length > this.#cap) return false
    this.#parts.push(chunk)
    return true
  }

  whole(): Buffer {
    return Buffer.concat(this.#parts)
  }
}
