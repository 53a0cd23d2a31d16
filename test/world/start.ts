import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { leaveDuty } from './duty.js'
import { type Environment, homeless } from './home.js'
import { keytoolPath, killGroup, type RunOptions } from './run.js'
import { Transcript } from './transcript.js'

export interface Exit {
  readonly status: number | null
  readonly signal: NodeJS.Signals | null
}

/** A program that goes on running. It ends with the test process, whatever becomes of that. */
export interface Running {
  readonly pid: number
  readonly stdout: Transcript
  readonly stderr: Transcript
  /** Waits for something on either stream; see {@link Transcript.waitFor}. */
  waitFor(pattern: RegExp, timeoutMs?: number): Promise<RegExpExecArray>
  /** Writes to its standard input. */
  write(text: string | Uint8Array): void
  /** Ends its standard input. */
  endInput(): void
  /** Resolves when it ends, by itself or not. */
  readonly exit: Promise<Exit>
  /** Sends the signal and waits for the end; SIGKILL to its process group when that takes over ten seconds. */
  stop(signal?: NodeJS.Signals): Promise<Exit>
}

const STOP_MS = 10_000

/** The duty that ends a process group; `$1` is its leader. Without `--`, which dash's kill does not know. */
export const endGroup = 'kill -TERM "-$1"'

/** Starts a program in a session of its own: no terminal, and one process group. */
export async function start(
  program: string,
  args: readonly string[],
  options: Pick<RunOptions, 'env' | 'cwd'> = {},
): Promise<Running> {
  const env: Environment = options.env ?? homeless
  const child = spawn(program, args, { env, cwd: options.cwd, detached: true, stdio: ['pipe', 'pipe', 'pipe'] })
  await once(child, 'spawn')
  const pid = child.pid
  if (pid === undefined) throw new Error(`${program} has no pid`)
  const guard = leaveDuty(endGroup, String(pid))

  const [stdout, stderr, both] = [new Transcript(), new Transcript(), new Transcript()]
  for (const [stream, own] of [[child.stdout, stdout] as const, [child.stderr, stderr] as const]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      own.add(text)
      both.add(text)
    })
  }
  child.stdin.on('error', () => {})

  const exit = new Promise<Exit>(resolve => {
    child.once('exit', (status, signal) => {
      guard.cancel()
      const finish = () => {
        clearTimeout(timer)
        for (const transcript of [stdout, stderr, both]) transcript.end(`it ended with ${signal ?? `status ${status}`}`)
        resolve({ status, signal })
      }
      // What it started may hold the pipes longer. What it wrote itself is in them by now, and is read before a turn of the
      // loop passes in which nothing came: however long this process was kept from reading.
      const drain = (seen: number) => {
        const size = both.text.length
        if (size === seen) finish()
        else setImmediate(drain, size)
      }
      const timer = setTimeout(() => setImmediate(drain, -1), 300)
      child.once('close', finish)
    })
  })
  return {
    pid,
    stdout,
    stderr,
    waitFor: (pattern, timeoutMs) => both.waitFor(pattern, timeoutMs),
    write: text => void child.stdin.write(text),
    endInput: () => void child.stdin.end(),
    exit,
    async stop(signal = 'SIGTERM') {
      child.kill(signal)
      const timer = setTimeout(() => killGroup(pid), STOP_MS)
      const result = await exit
      clearTimeout(timer)
      child.stdout.destroy()
      child.stderr.destroy()
      child.stdin.destroy()
      return result
    },
  }
}

/** Starts the built program with this Node. */
export function startKeytool(args: readonly string[], options?: Pick<RunOptions, 'env' | 'cwd'>): Promise<Running> {
  return start(process.execPath, [keytoolPath, ...args], options)
}
