import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { type Environment, homeless } from './home.js'

export interface RunOptions {
  /** The whole environment. Default {@link homeless}. */
  readonly env?: Environment
  /** What stands on standard input; without it there is none (/dev/null). */
  readonly input?: string | Uint8Array
  readonly cwd?: string
  /** Default 30 000. */
  readonly timeoutMs?: number
}

export interface RunResult {
  /** The exit status; `null` when a signal ended it. */
  readonly status: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
}

/** What a killed program wrote last is waited for no longer than this: something it started may hold the pipes for ever. */
const GRACE_MS = 200

/**
 * Runs a program to its end, in a session of its own: it has no terminal to ask on. It has ended when its pipes are
 * closed too, so a program that leaves something behind in the background must have let go of them.
 * @throws Error when it takes longer than allowed (it is killed, with its process group) or can't be started
 */
export function run(program: string, args: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  const { env = homeless, input, cwd, timeoutMs = 30_000 } = options
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { env, cwd, detached: true, stdio: ['pipe', 'pipe', 'pipe'] })
    let stdout = ''
    let stderr = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text
    })
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text
    })
    // A program that does not read its input is no failure.
    child.stdin.on('error', () => {}).end(input)

    const timer = setTimeout(() => {
      killGroup(child.pid)
      child.off('close', finish)
      setTimeout(() => {
        child.stdout.destroy()
        child.stderr.destroy()
        reject(new Error(`${[program, ...args].join(' ')} took over ${timeoutMs} ms\n${stdout}\n${stderr}`))
      }, GRACE_MS)
    }, timeoutMs)
    const finish = (status: number | null, signal: NodeJS.Signals | null) => {
      clearTimeout(timer)
      resolve({ status, signal, stdout, stderr })
    }
    child.once('error', error => {
      clearTimeout(timer)
      reject(error)
    })
    child.once('close', finish)
  })
}

/** Like {@link run}, but anything other than exit status 0 is an error. */
export async function runOrThrow(program: string, args: readonly string[], options?: RunOptions): Promise<RunResult> {
  const result = await run(program, args, options)
  if (result.status === 0) return result
  const how = result.signal ?? `status ${result.status}`
  throw new Error(`${[program, ...args].join(' ')} ended with ${how}\n${result.stdout}\n${result.stderr}`)
}

/** The built program, as `npm run build` leaves it. */
export const keytoolPath = fileURLToPath(new URL('../../packages/cli/dist/keytool.cjs', import.meta.url))

/** Runs the built program with this Node. */
export function keytool(args: readonly string[], options?: RunOptions): Promise<RunResult> {
  return run(process.execPath, [keytoolPath, ...args], options)
}

/** Ends a process group that was started here with `detached`. One that is gone already is no failure. */
export function killGroup(pid: number | undefined, signal: NodeJS.Signals = 'SIGKILL'): void {
  if (pid !== undefined) killIfThere(-pid, signal)
}

/** A process that was seen a moment ago may have ended by itself since. */
export function killIfThere(pid: number, signal: NodeJS.Signals = 'SIGKILL'): void {
  try {
    process.kill(pid, signal)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}
