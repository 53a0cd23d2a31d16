import { chown, lstat, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Connection, type ConnectOptions, connect, KnownHosts } from '@keytool/tunnel'
import { type Home, temporaryHome } from './world/home.js'
import { type Sshd, startSshd } from './world/sshd.js'
import { createUser, type SystemUser } from './world/system-user.js'

/** One account, its server, and a connection that got in by password. */
export interface ShellWorld {
  readonly user: SystemUser
  readonly sshd: Sshd
  readonly home: Home
  readonly connection: Connection
  /** What `connect` needs to get in again, but for what proves who it is. */
  login(more?: Partial<ConnectOptions>): ConnectOptions
  /** One more connection by password. */
  enter(): Promise<Connection>
  /** Puts the account's home back to what it is on the first day, but for an authorized_keys with these bytes. */
  begin(bytes?: string | Buffer): Promise<void>
  /** The file as it stands. */
  content(): Promise<Buffer>
  /** All that lies in the home but the file itself and .ssh. */
  leftovers(): Promise<string[]>
  close(): Promise<void>
}

export async function openShellWorld(config: readonly string[] = []): Promise<ShellWorld> {
  const home = await temporaryHome()
  const user = await createUser()
  const sshd = await startSshd({ users: [user], config })
  const known = join(home.ssh, 'known_hosts')
  await writeFile(known, sshd.knownHosts)
  const login = (more: Partial<ConnectOptions> = {}): ConnectOptions => {
    const knownHosts = new KnownHosts({ home: home.path, files: [known], systemFiles: [] })
    return { host: sshd.host, port: sshd.port, user: user.name, hosts: { knownHosts }, ...more }
  }
  const enter = () => connect(login({ signers: [], askPassword: async () => user.password }))
  const connection = await enter()
  const ssh = join(user.home, '.ssh')
  return {
    user,
    sshd,
    home,
    connection,
    login,
    enter,
    async begin(bytes) {
      for (const name of await readdir(user.home)) await rm(join(user.home, name), { recursive: true })
      if (bytes === undefined) return
      await mkdir(ssh, { mode: 0o700 })
      await writeFile(user.authorizedKeysFile, bytes, { mode: 0o600 })
      for (const path of [ssh, user.authorizedKeysFile]) await chown(path, user.uid, user.gid)
    },
    content: () => readFile(user.authorizedKeysFile),
    async leftovers() {
      const names = (await readdir(user.home, { recursive: true })).sort()
      return names.filter(name => name !== '.ssh' && name !== join('.ssh', 'authorized_keys'))
    },
    async close() {
      await connection.close()
      await sshd.stop()
      await user.dispose()
      await home.dispose()
    },
  }
}

/** Mode, owner and group, links: what is to stay. */
export async function facts(path: string): Promise<readonly [mode: string, uid: number, gid: number, links: number]> {
  const { mode, uid, gid, nlink } = await lstat(path)
  return [(mode & 0o7777).toString(8), uid, gid, nlink]
}
