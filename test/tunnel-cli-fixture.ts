import { once } from 'node:events'
import { readFile, writeFile } from 'node:fs/promises'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { findProcesses } from './agent-fixture.js'
import { makeKey } from './agent-hosts.js'
import { leaveDuty } from './world/duty.js'
import { type Environment, type Home, temporaryHome } from './world/home.js'
import { residentKeytool } from './world/resident.js'
import { keytool, keytoolPath, killIfThere, type RunOptions, type RunResult } from './world/run.js'
import { type Sshd, type SshdOptions, startSshd } from './world/sshd.js'
import { type Running, startKeytool } from './world/start.js'
import { createUser, type SystemUser } from './world/system-user.js'

// What the tests share that run `keytool tunnel` as a user does.

/** Ends every process with this home: `$1`. */
export const endAll = `for each in $(grep -lzxF "HOME=$1" /proc/[0-9]*/environ 2>/dev/null); do
  each=\${each%/environ}
  kill -KILL "\${each#/proc/}"
done`

/** A home with a key in it, a server that takes the key, and what runs between them. */
export interface TunnelWorld {
  readonly home: Home
  readonly env: Environment
  readonly user: SystemUser
  readonly sshd: Sshd
  /** `-p PORT USER@HOST` of the server. */
  readonly there: readonly string[]
  /** Runs a line of our program to its end, not in a process of its own. */
  ours(...args: string[]): Promise<RunResult>
  /** The same for `keytool tunnel`. */
  tunnel(args: readonly string[], options?: RunOptions): Promise<RunResult>
  /** Starts `keytool tunnel`, which holds on. */
  hold(args: readonly string[], env?: Environment): Promise<Running>
  /** What `keytool tunnel status --json` says. */
  status(): Promise<TunnelFacts[]>
  /** Commands of all that runs of this home. */
  processes(): Promise<string[]>
  /** Stops what runs, and forgets what stopped. @throws Error when something is left; it is ended all the same */
  clear(): Promise<void>
  /** A program that listens on 127.0.0.1. Returns its port. */
  serve(serve: (socket: Socket) => void): Promise<number>
  dispose(): Promise<void>
}

/** What cli.md promises of `tunnel status --json`, and what we add. */
export interface TunnelFacts {
  readonly name: string
  readonly state: string
  readonly pid: number | null
  readonly since: string
  readonly until: string | null
  readonly reconnects: number
  readonly lastError: string | null
  readonly forwards: readonly Readonly<Record<string, unknown>>[]
}

export async function openTunnelWorld(options: Omit<SshdOptions, 'users'> = {}): Promise<TunnelWorld> {
  const home = await temporaryHome()
  const guard = leaveDuty(endAll, home.path)
  const user = await createUser()
  const key = join(home.ssh, 'id_ed25519')
  await makeKey(key)
  const sshd = await startSshd({
    users: [user],
    ...options,
    authorizedKeys: [await readFile(`${key}.pub`, 'utf8'), ...(options.authorizedKeys ?? [])],
  })
  await writeFile(join(home.ssh, 'known_hosts'), sshd.knownHosts)
  const { env } = home
  const servers: Server[] = []
  const processes = async () => (await findProcesses(home)).map(({ command }) => command)
  const tunnels = async () =>
    (await findProcesses(home)).filter(({ command }) => command.includes(`${keytoolPath} tunnel`))
  const ours = (...args: string[]) => residentKeytool(args, { env, cwd: home.path })
  return {
    ...{ home, env, user, sshd, ours, processes },
    there: ['-p', String(sshd.port), `${user.name}@127.0.0.1`],
    tunnel: (args, more = {}) => keytool(['tunnel', ...args], { env, cwd: home.path, ...more }),
    hold: (args, own = env) => startKeytool(['tunnel', ...args], { env: own, cwd: home.path }),
    async status() {
      const { stdout, stderr, status } = await ours('tunnel', 'status', '--json')
      if (status !== 0 || stderr !== '') throw new Error(`tunnel status ended with ${status}\n${stderr}`)
      return JSON.parse(stdout)
    },
    async clear() {
      await residentKeytool(['tunnel', 'stop', '--all'], { env })
      try {
        await eventually(tunnels, left => left.length === 0, 15_000)
      } finally {
        for (const { pid } of await tunnels()) killIfThere(pid)
      }
    },
    async serve(serve) {
      const server = createServer(socket => {
        socket.on('error', () => {})
        serve(socket)
      }).listen(0, '127.0.0.1')
      servers.push(server)
      await once(server, 'listening')
      return portOf(server)
    },
    async dispose() {
      for (const server of servers) server.close()
      await guard.perform()
      await sshd.stop()
      await user.dispose()
      await home.dispose()
    },
  }
}

/** The port in `127.0.0.1:PORT -> …`, the line of the forward that listens here. */
export function portIn(text: string): number {
  const [, port] = /^127\.0\.0\.1:(\d+) -> /m.exec(text) ?? []
  if (port === undefined) throw new Error(`no forward in:\n${text}`)
  return Number(port)
}

/** What a server on this port says first; empty when it closes without a word. */
export async function greetingAt(port: number): Promise<string> {
  const socket = connect(port, '127.0.0.1')
  try {
    const [said] = await Promise.race([once(socket, 'data'), once(socket, 'close').then(() => [''])])
    return String(said)
  } finally {
    socket.destroy()
  }
}

/** Looks again and again until it is so. @throws Error with what it saw last */
export async function eventually<T>(look: () => Promise<T>, is: (value: T) => boolean, timeoutMs = 20_000): Promise<T> {
  const end = Date.now() + timeoutMs
  for (;;) {
    const value = await look()
    if (is(value)) return value
    if (Date.now() > end) throw new Error(`it never came to it: ${JSON.stringify(value, undefined, 2)}`)
    await sleep(50)
  }
}

function portOf(server: Server): number {
  const address = server.address()
  if (typeof address !== 'object' || !address) throw new Error('it does not listen')
  return address.port
}
