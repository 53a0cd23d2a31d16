import { lstat, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { findProcesses, waitForEnd } from './agent-fixture.js'
import { endAll } from './tunnel-cli-fixture.js'
import { leaveDuty } from './world/duty.js'
import { type Environment, type Home, temporaryHome } from './world/home.js'
import { type Keyring, startKeyring } from './world/keyring.js'
import { keytool, killIfThere, type RunOptions, type RunResult } from './world/run.js'
import { type Sshd, startSshd } from './world/sshd.js'
import { createUser, type SystemUser } from './world/system-user.js'

// What the tests of test/setup*.test.ts share: an account on a server, and homes that know nothing of it yet.

/** A server and its account; `hosts` are further addresses of this machine's that it answers on. */
export interface Hosting {
  readonly user: SystemUser
  readonly sshd: Sshd
  /** A file with the account's password. */
  readonly password: string
  /** What lies in the account's home, byte for byte; mail and shells leave nothing there. */
  account(): Promise<string[]>
  /** Takes `~/.ssh` of the account away. */
  reset(): Promise<void>
  dispose(): Promise<void>
}

export async function openHosting(hosts: readonly string[] = []): Promise<Hosting> {
  const user = await createUser()
  const sshd = await startSshd({ users: [user], config: hosts.map(host => `ListenAddress ${host}`) })
  const folder = await temporaryHome()
  const password = join(folder.path, 'password')
  await writeFile(password, `${user.password}\n`, { mode: 0o600 })
  return {
    ...{ user, sshd, password },
    account: () => treeOf(user.home),
    reset: () => rm(join(user.home, '.ssh'), { recursive: true, force: true }),
    async dispose() {
      await sshd.stop()
      await user.dispose()
      await folder.dispose()
    },
  }
}

/** A home in which nobody has done anything yet: not even `~/.ssh` is there. */
export interface EmptyHome {
  readonly home: Home
  /** With GNOME's keyring, where there is one. */
  readonly env: Environment
  readonly keyring: Keyring | undefined
  /** Runs `keytool setup`, in a process of its own. */
  setup(args: readonly string[], options?: RunOptions): Promise<RunResult>
  /** What lies in it, without the keyring's own files and sockets. */
  tree(): Promise<string[]>
  /** Commands of all that runs of it. */
  processes(): Promise<string[]>
  /** Ends all that runs of it but the keyring: a logout. */
  logOut(): Promise<void>
  dispose(): Promise<void>
}

export async function openEmptyHome(withKeyring: boolean): Promise<EmptyHome> {
  const home = await temporaryHome()
  await rm(home.ssh, { recursive: true })
  const guard = leaveDuty(endAll, home.path)
  const keyring = withKeyring ? await startKeyring(home) : undefined
  const env = keyring?.env ?? home.env
  const ours = async () => (await findProcesses(home)).filter(({ command }) => command.includes('keytool'))
  return {
    ...{ home, env, keyring },
    setup: (args, options = {}) => keytool(['setup', ...args], { env, cwd: home.path, timeoutMs: 60_000, ...options }),
    tree: async () => (await treeOf(home.path)).filter(line => !FOREIGN.test(line.slice(home.path.length))),
    processes: async () => (await ours()).map(({ command }) => command),
    async logOut() {
      const all = await ours()
      for (const { pid } of all) killIfThere(pid)
      await Promise.all(all.map(({ pid }) => waitForEnd(pid)))
    },
    async dispose() {
      for (const { pid } of await ours()) killIfThere(pid)
      await keyring?.stop()
      await guard.perform()
      await home.dispose()
    },
  }
}

/** GNOME's keyring keeps its own files, and a bus its socket. */
const FOREIGN = /^\/(bus\.conf|run\/(bus|keyring)\b|\.local\/share|\.cache|\.dbus)/

/**
 * Names, kinds, modes and contents of all below a folder: not the times, and not which inode. What goes while it is looked
 * at, as the files do that are renamed to others, is not there.
 */
export async function treeOf(path: string): Promise<string[]> {
  try {
    return await lookAt(path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw error
  }
}

async function lookAt(path: string): Promise<string[]> {
  const stats = await lstat(path)
  const what = `${path} ${stats.mode.toString(8)}`
  if (stats.isFile()) return [`${what} ${(await readFile(path)).toString('latin1')}`]
  if (!stats.isDirectory()) return [what]
  const names = (await readdir(path)).sort()
  return [what, ...(await Promise.all(names.map(name => treeOf(join(path, name))))).flat()]
}
