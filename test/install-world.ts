import { once } from 'node:events'
import { chown, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { type Home, temporaryHome } from './world/home.js'
import { residentKeytool } from './world/resident.js'
import { keytool, type RunResult } from './world/run.js'
import { type Sshd, startSshd } from './world/sshd.js'
import { createUser, type SystemUser } from './world/system-user.js'

// What the tests share that put keys on servers: one account, and as many hosts as are wanted.

/** sshd takes no more listeners, and one is at 127.0.0.1. */
const HOSTS_AN_SSHD = 15

/** A host with a home folder of its own, though the account is the same on all. */
export interface InstallHost {
  /** `ssh://user@address:port`. */
  readonly word: string
  readonly address: string
  readonly port: number
  readonly authorizedKeysFile: string
  /** What stands there; empty when there is none. */
  read(): Promise<string>
}

export interface InstallWorld {
  readonly home: Home
  readonly user: SystemUser
  readonly sshds: readonly Sshd[]
  readonly hosts: readonly InstallHost[]
  /** A file with the account's password. */
  readonly password: string
  /** A key without a passphrase, at its usual place. */
  readonly key: string
  publicLine(): Promise<string>
  /** Runs a line of `keytool install-pubkey`. */
  install(...args: string[]): Promise<RunResult>
  /** Makes every host as it was in the beginning. */
  clear(): Promise<void>
  dispose(): Promise<void>
}

/**
 * @param size hosts, at addresses of 127.0.0.0/8
 * @param config more lines for sshd_config
 */
export async function openInstallWorld(size: number, config: readonly string[] = []): Promise<InstallWorld> {
  const home = await temporaryHome()
  const user = await createUser()
  const sshds: Sshd[] = []
  const hosts: InstallHost[] = []
  const key = join(home.ssh, 'id_ed25519')
  const password = join(home.path, 'password')
  while (hosts.length < size) {
    const addresses = Array.from(
      { length: Math.min(HOSTS_AN_SSHD, size - hosts.length) },
      (_, i) => `127.2.${sshds.length}.${i + 1}`,
    )
    const matches = join(user.home, `..`, `matches-${sshds.length}`)
    await writeFile(matches, (await Promise.all(addresses.map(address => makeHost(user, address)))).join(''))
    const listens = addresses.map(address => `ListenAddress ${address}`)
    const sshd = await startSshd({ users: [user], config: [...config, ...listens, `Include ${matches}`] })
    sshds.push(sshd)
    hosts.push(...addresses.map(address => describeHost(user, address, sshd.port)))
  }
  const known = sshds.map(({ knownHosts }) => knownHosts.replaceAll('[127.0.0.1]', '[127.*]'))
  await writeFile(join(home.ssh, 'known_hosts'), known.join(''))
  await writeFile(password, `${user.password}\n`, { mode: 0o600 })
  await keytool(['gen', '-t', 'ed25519', '-C', 'mine', '--no-passphrase'], { env: home.env })
  return {
    ...{ home, user, sshds, hosts, password, key },
    publicLine: () => readFile(`${key}.pub`, 'utf8'),
    install: (...args) =>
      residentKeytool(['install-pubkey', ...args], { env: home.env, cwd: home.path, timeoutMs: 60_000 }),
    async clear() {
      for (const { authorizedKeysFile } of hosts) await rm(authorizedKeysFile, { force: true })
    },
    async dispose() {
      for (const sshd of sshds) await sshd.stop()
      await user.dispose()
      await home.dispose()
    },
  }
}

/** What one host is: lines for sshd_config, and the folder they name. */
async function makeHost(user: SystemUser, address: string): Promise<string> {
  const own = join(user.home, address)
  await mkdir(own, { mode: 0o700 })
  await chown(own, user.uid, user.gid)
  return `Match LocalAddress ${address}\n  SetEnv HOME=${own}\n  AuthorizedKeysFile ${own}/.ssh/authorized_keys\n`
}

function describeHost(user: SystemUser, address: string, port: number): InstallHost {
  const authorizedKeysFile = join(user.home, address, '.ssh', 'authorized_keys')
  return {
    word: `ssh://${user.name}@${address}:${port}`,
    ...{ address, port, authorizedKeysFile },
    read: () => readFile(authorizedKeysFile, 'utf8').catch(() => ''),
  }
}

/** A host that takes connections and never says a word. */
export interface SilentHost {
  readonly port: number
  /** Until somebody has come. */
  readonly visited: Promise<void>
  /** Hangs up, and takes no more connections. */
  close(): Promise<void>
}

export async function openSilentHost(): Promise<SilentHost> {
  const sockets = new Set<Socket>()
  const server = createServer(socket => {
    sockets.add(socket.on('error', () => {}))
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (typeof address !== 'object' || !address) throw new Error('it does not listen')
  return {
    port: address.port,
    visited: once(server, 'connection').then(() => undefined),
    async close() {
      const closed = once(server, 'close')
      server.close()
      for (const socket of sockets) socket.destroy()
      await closed
    },
  }
}
