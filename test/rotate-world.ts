import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { makeKey } from './agent-hosts.js'
import { type Home, opensshOptions, temporaryHome } from './world/home.js'
import { peerPath } from './world/peers.js'
import { residentKeytool } from './world/resident.js'
import { type RunOptions, type RunResult, run } from './world/run.js'
import { type Sshd, type SshdOptions, startSshd } from './world/sshd.js'
import { createUser, type SystemUser } from './world/system-user.js'

// Several accounts on OpenSSH's server, an old key and a new one.

export interface RotateWorld {
  readonly home: Home
  readonly sshd: Sshd
  readonly users: readonly SystemUser[]
  /** Private key files. */
  readonly old: string
  readonly new: string
  /** What a `.pub` of the two says, without its end. */
  readonly oldLine: string
  readonly newLine: string
  /** Runs a line of the program to its end. */
  ours(args: readonly string[], options?: RunOptions): Promise<RunResult>
  /** `ssh://USER@127.0.0.1:PORT`. */
  wordOf(user: SystemUser): string
  /** Whether OpenSSH's client gets in with these key files alone. */
  logsIn(user: SystemUser, ...files: string[]): Promise<boolean>
  /** A user's authorized_keys. */
  read(user: SystemUser): Promise<string>
  write(user: SystemUser, text: string): Promise<void>
  dispose(): Promise<void>
}

export async function openRotateWorld(count: number, options: Omit<SshdOptions, 'users'> = {}): Promise<RotateWorld> {
  const home = await temporaryHome()
  const users: SystemUser[] = []
  for (let i = 0; i < count; i++) users.push(await createUser())
  const sshd = await startSshd({ users, authorizedKeys: ['# kept by a test'], ...options })
  await writeFile(join(home.ssh, 'known_hosts'), sshd.knownHosts)
  const [old, fresh] = [join(home.ssh, 'id_old'), join(home.ssh, 'id_new')]
  for (const file of [old, fresh]) await makeKey(file)
  const lineOf = async (file: string) => (await readFile(`${file}.pub`, 'utf8')).trim()
  return {
    ...{ home, sshd, users, old, new: fresh, oldLine: await lineOf(old), newLine: await lineOf(fresh) },
    ours: (args, more = {}) => residentKeytool(args, { env: home.env, cwd: home.path, timeoutMs: 60_000, ...more }),
    wordOf: user => `ssh://${user.name}@127.0.0.1:${sshd.port}`,
    async logsIn(user, ...files) {
      const named = files.flatMap(file => ['-i', file])
      const alone = [...opensshOptions(home), '-o', 'IdentitiesOnly=yes', ...named, '-p', String(sshd.port)]
      const { stdout } = await run(peerPath('ssh'), [...alone, `${user.name}@127.0.0.1`, 'echo in'], { env: home.env })
      return stdout === 'in\n'
    },
    read: user => readFile(user.authorizedKeysFile, 'utf8'),
    write: (user, text) => writeFile(user.authorizedKeysFile, text),
    async dispose() {
      await sshd.stop()
      for (const user of users) await user.dispose()
      await home.dispose()
    },
  }
}
