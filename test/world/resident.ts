import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { homeless } from './home.js'
import { keytoolPath, type RunOptions, type RunResult } from './run.js'

// The built program without a process of its own for each line. For what a line does and says; how a process starts and
// ends, its streams, its signals and who it is to others are matters for `keytool` of run.ts.

const HOST = fileURLToPath(new URL('./resident-host.mjs', import.meta.url))

/** A process that runs one line after the other. */
interface Host {
  readonly child: ChildProcess
  /** What came past the program's own streams since this was asked last: warnings of node's, a crash. */
  takeStrayOutput(): { stdout: string; stderr: string }
}

const hosts = new Set<Host>()
const idle: Host[] = []
let isOver = false

/** Those of a file of tests end with it. The file's own last steps may come after this: then each host ends with its line. */
afterAll(async () => {
  isOver = true
  await Promise.all([...hosts].map(end))
  idle.length = 0
})

async function end(host: Host): Promise<void> {
  hosts.delete(host)
  if (host.child.exitCode !== null || host.child.signalCode !== null) return
  const closed = once(host.child, 'close')
  host.child.kill('SIGKILL')
  await closed
}

/**
 * Runs a line of the built program to its end, as `keytool` of run.ts does, in a process where lines ran before: its files
 * are evaluated anew for each. As many at a time as are asked for.
 * @throws Error when it takes longer than allowed
 */
export async function residentKeytool(args: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  const { env = homeless, input = '', cwd, timeoutMs = 30_000 } = options
  const host = idle.pop() ?? startHost()
  const { child } = host
  const line = { program: keytoolPath, args, env, cwd, input: Buffer.from(input).toString('base64') }
  const reply = await new Promise<RunResult>((resolve, reject) => {
    const timer = setTimeout(() => {
      child.kill('SIGKILL')
      reject(new Error(`keytool ${args.join(' ')} took over ${timeoutMs} ms\n${host.takeStrayOutput().stderr}`))
    }, timeoutMs)
    const settle = (result: RunResult) => {
      clearTimeout(timer)
      child.off('message', settle).off('close', fail)
      resolve(result)
    }
    // It has ended with the line: as a process of its own would have.
    const fail = (status: number | null, signal: NodeJS.Signals | null) =>
      settle({ status, signal, stdout: '', stderr: '' })
    child.on('message', settle).on('close', fail)
    child.send(line)
  })
  const stray = host.takeStrayOutput()
  if (isOver) await end(host)
  else if (hosts.has(host)) idle.push(host)
  return { ...reply, stdout: reply.stdout + stray.stdout, stderr: reply.stderr + stray.stderr }
}

function startHost(): Host {
  // No arguments of jest's own node, and a session without a terminal.
  const child = fork(HOST, [], {
    env: homeless,
    execArgv: [],
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  })
  const stray = { stdout: '', stderr: '' }
  for (const name of ['stdout', 'stderr'] as const) {
    child[name]?.setEncoding('utf8').on('data', (text: string) => {
      stray[name] += text
    })
  }
  const host: Host = {
    child,
    takeStrayOutput() {
      const taken = { ...stray }
      stray.stdout = ''
      stray.stderr = ''
      return taken
    },
  }
  hosts.add(host)
  child.on('close', () => {
    hosts.delete(host)
    const place = idle.indexOf(host)
    if (place >= 0) idle.splice(place, 1)
  })
  return host
}
