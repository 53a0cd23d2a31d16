import { readdirSync, readFileSync } from 'node:fs'
import { lstat, readdir, readFile, readlink } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { connectRaw, string } from './agent-wire.js'
import { leaveDuty } from './world/duty.js'
import type { Environment, Home } from './world/home.js'
import { residentKeytool } from './world/resident.js'
import { keytool, killIfThere, run } from './world/run.js'
import type { Running } from './world/start.js'

// What the tests of test/agent-*.test.ts share: our agent in the background, and what can be seen of it from outside.

/** Of the agent protocol: RFC 9987 section 5.8. */
const EXTENSION = 27

/** The duty that ends the agent `$1` of the home `$2`: the pid may be another program's by then. */
export const endAgent = `tr '\\0' '\\n' </proc/$1/environ 2>/dev/null | grep -qx "HOME=$2" && kill -TERM "$1"`

export interface OurAgent {
  readonly pid: number
  readonly socket: string
  /** The lines it printed for the shell. */
  readonly lines: string
  /** The home's environment, and what a shell got from evaluating those lines. */
  readonly env: Environment
  /** Stops it as a user does, and throws when a socket, a file or a process is left. */
  stop(): Promise<void>
}

/** Starts our agent in the background as a user does, on its fixed socket, and has a shell evaluate what it prints. */
export async function startOurAgent(home: Home, args: readonly string[] = ['-s']): Promise<OurAgent> {
  const started = await keytool(['agent', ...args], { env: home.env })
  if (started.status !== 0) throw new Error(`keytool agent ended with ${started.status}\n${started.stderr}`)
  const lines = started.stdout
  const { socket, pid } = await evaluate(lines)
  const guard = leaveDuty(endAgent, String(pid), home.path)
  const env = { ...home.env, SSH_AUTH_SOCK: socket, SSH_AGENT_PID: String(pid) }
  return {
    pid,
    socket,
    lines,
    env,
    async stop() {
      const { status, stderr } = await residentKeytool(['agent', 'stop'], { env })
      guard.cancel()
      if (status !== 0) throw new Error(`keytool agent stop ended with ${status}\n${stderr}`)
      await expectNothingLeft(home)
    },
  }
}

/** Has a shell evaluate an agent's lines. Throws when they do not set both variables. */
export async function evaluate(lines: string): Promise<{ socket: string; pid: number }> {
  const script = 'eval "$1" >/dev/null; printf "%s\\n%s\\n" "$SSH_AUTH_SOCK" "$SSH_AGENT_PID"'
  const { stdout } = await run('/bin/sh', ['-c', script, 'sh', lines])
  const [socket = '', pid = ''] = stdout.split('\n')
  if (!socket.startsWith('/') || !/^\d+$/.test(pid)) throw new Error(`these lines make no agent known:\n${lines}`)
  return { socket, pid: Number(pid) }
}

/** What has told that it could not start, or was told to end, may take a moment to be gone. In milliseconds. */
const END_LIMIT = 15_000

/** Throws when a process with this home still runs, or anything lies in the agent's folder. */
export async function expectNothingLeft(home: Home): Promise<void> {
  const end = Date.now() + END_LIMIT
  let running = await findProcesses(home)
  while (running.length > 0 && Date.now() < end) {
    await sleep(20)
    running = await findProcesses(home)
  }
  if (running.length > 0) throw new Error(`still running: ${JSON.stringify(running)}`)
  const files = await readdir(join(home.runtime, 'keytool')).catch(() => [])
  if (files.length > 0) throw new Error(`left in the agent's folder: ${files.join(' ')}`)
}

/** Removes a home. Throws when an agent or anything of it is left there; it is ended all the same. */
export async function leaveHome(home: Home): Promise<void> {
  try {
    await expectNothingLeft(home)
  } finally {
    for (const { pid } of await findProcesses(home)) killIfThere(pid)
    await home.dispose()
  }
}

/** Does something while a program runs, which then is ended, whatever came of it: jest waits for what goes on. */
export async function during<T>(program: Promise<Running>, work: (running: Running) => Promise<T>): Promise<T> {
  const running = await program
  try {
    return await work(running)
  } finally {
    await running.stop()
  }
}

export interface Process {
  readonly pid: number
  readonly command: string
}

/**
 * Every process whose environment names this home, from /proc: so Linux only. Read without a pause: it is asked for all the
 * time, and a hundred small files take longer one by one.
 */
export async function findProcesses(home: Home): Promise<Process[]> {
  const pids = readdirSync('/proc').filter(name => /^\d+$/.test(name))
  const own = pids.filter(pid => readAtOnce(`/proc/${pid}/environ`).split('\0').includes(`HOME=${home.path}`))
  const found = own.map(async pid => ({ pid: Number(pid), command: (await readProcess(Number(pid))).command }))
  // One that ends between the two looks has no command line any more.
  return (await Promise.all(found)).filter(({ command }) => command !== '')
}

/** Empty when it is gone. */
function readAtOnce(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}

/** What everybody on the machine may see of a process, and its environment. Empty when it is gone, a zombie included. */
export async function readProcess(pid: number): Promise<{ command: string; environ: string }> {
  const read = (name: string) => readFile(`/proc/${pid}/${name}`, 'utf8').catch(() => '')
  return { command: (await read('cmdline')).replaceAll('\0', ' ').trimEnd(), environ: await read('environ') }
}

/** A zombie, which nobody has waited for yet, does not run. */
export async function isRunning(pid: number): Promise<boolean> {
  return (await readProcess(pid)).command !== ''
}

/** Waits until the process has ended. Throws when the time is over. */
export async function waitForEnd(pid: number, timeoutMs = 15_000): Promise<void> {
  const end = Date.now() + timeoutMs
  while (await isRunning(pid)) {
    if (Date.now() > end) throw new Error(`process ${pid} still runs after ${timeoutMs} ms`)
    await sleep(10)
  }
}

/** The local addresses of TCP a process listens on, as /proc/net/tcp writes them: by the sockets among its descriptors. */
export async function findListeners(pid: number): Promise<string[]> {
  const descriptors = await readdir(`/proc/${pid}/fd`)
  const links = descriptors.map(name => readlink(`/proc/${pid}/fd/${name}`).catch(() => ''))
  const inodes = new Set((await Promise.all(links)).map(link => /^socket:\[(\d+)\]$/.exec(link)?.[1]))
  const tables = await Promise.all(['tcp', 'tcp6'].map(name => readFile(`/proc/${pid}/net/${name}`, 'utf8')))
  const rows = tables.flatMap(table => table.split('\n').map(line => line.trim().split(/\s+/)))
  // proc(5): sl local_address rem_address st … inode is the tenth; 0A is LISTEN.
  return rows.filter(row => row[3] === '0A' && inodes.has(row[9])).map(row => row[1] ?? '')
}

/**
 * All that lies below a path: names, kinds, modes, owners, contents. Two equal snapshots: nothing was changed.
 * @param except folders that others write to meanwhile: their contents are left out
 */
export async function takeSnapshot(path: string, except: readonly string[] = []): Promise<string[]> {
  const stats = await lstat(path)
  const what = `${path} ${stats.mode.toString(8)} ${stats.uid} ${stats.ino}`
  if (stats.isSymbolicLink()) return [`${what} -> ${await readlink(path)}`]
  if (stats.isFile()) return [`${what} ${await readFile(path, 'latin1')}`]
  if (!stats.isDirectory() || except.includes(path)) return [what]
  const names = (await readdir(path)).sort()
  return [what, ...(await Promise.all(names.map(name => takeSnapshot(join(path, name), except)))).flat()]
}

/** The folders in which an agent writes at any time: its ledger and what it learns, and what it keeps of its keys. */
export function agentsOwn(home: Home): string[] {
  return [join(home.path, '.local', 'state', 'keytool'), join(home.runtime, 'keytool')]
}

/**
 * An agent writes the lines of its ledger a few milliseconds after the deed. Waits until those of what was done are there.
 * @param socket of the agent: asked how it is, it writes what it has before it answers
 */
export async function untilWritten(socket?: string): Promise<void> {
  await sleep(150)
  // One that has ended has written all of it.
  const client = socket === undefined ? undefined : await connectRaw(socket).catch(() => undefined)
  if (!client) return
  await client.ask(EXTENSION, string('status@keytool'))
  client.destroy()
}
