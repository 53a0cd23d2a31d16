import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { findDescendants } from './descendants.js'
import { temporaryFolder } from './folder.js'
import { peerPath } from './peers.js'
import { findFreePort } from './port.js'
import { killIfThere, runOrThrow } from './run.js'
import { type Running, start } from './start.js'
import type { SystemUser } from './system-user.js'

const hostKeyTypes = ['ed25519', 'rsa', 'ecdsa'] as const

export type HostKeyType = (typeof hostKeyTypes)[number]

export interface SshdOptions {
  /** Who may log in; nobody else may. */
  readonly users: readonly SystemUser[]
  /** Lines put into every user's authorized_keys. */
  readonly authorizedKeys?: readonly string[]
  /** Who of them may use a password. Default: all. */
  readonly passwordUsers?: readonly SystemUser[]
  /** More lines for sshd_config, before all others: sshd takes the first value it finds. */
  readonly config?: readonly string[]
  /** Default: a free one. */
  readonly port?: number
  /** Private host keys, to run a server again under the same identity. */
  readonly hostKeyFiles?: Readonly<Record<HostKeyType, string>>
}

export interface Sshd {
  readonly host: string
  readonly port: number
  readonly pid: number
  /** Private host keys by type; the public halves lie beside them as `.pub`. Gone after {@link Sshd.stop}. */
  readonly hostKeyFiles: Readonly<Record<HostKeyType, string>>
  /** As `ssh-keygen -l` shows them, `SHA256:…`. */
  readonly fingerprints: Readonly<Record<HostKeyType, string>>
  /** Lines for known_hosts, one a host key. */
  readonly knownHosts: string
  /** What it logged so far. */
  log(): string
  waitForLog(pattern: RegExp, timeoutMs?: number): Promise<RegExpExecArray>
  /** Ends the connections that are open, as a crash would; the listener goes on. */
  dropConnections(): Promise<void>
  /** Ends the listener and all its connections, and removes its files. */
  stop(): Promise<void>
}

/** Starts OpenSSH's server on 127.0.0.1, with a config and host keys of its own. Needs root. */
export async function startSshd(options: SshdOptions): Promise<Sshd> {
  const folder = await temporaryFolder()
  try {
    const hostKeyFiles = options.hostKeyFiles ?? (await makeHostKeys(folder.path))
    const fingerprints = await readEach(hostKeyFiles, readFingerprint)
    const publicKeys = await readEach(hostKeyFiles, file => readFile(`${file}.pub`, 'utf8'))
    for (const user of options.users) if (options.authorizedKeys) await user.authorize(...options.authorizedKeys)
    // What Debian's own service makes at every start; sshd shuts its unprivileged half in there.
    await mkdir('/run/sshd', { recursive: true, mode: 0o755 })

    const { server, port } = await listen(join(folder.path, 'sshd_config'), hostKeyFiles, options)
    const dropConnections = async () => {
      for (const pid of await findDescendants(server.pid)) killIfThere(pid)
    }
    return {
      host: '127.0.0.1',
      port,
      pid: server.pid,
      hostKeyFiles,
      fingerprints,
      knownHosts: hostKeyTypes
        .map(type => `[127.0.0.1]:${port} ${publicKeys[type].split(' ').slice(0, 2).join(' ')}\n`)
        .join(''),
      log: () => server.stderr.text,
      waitForLog: (pattern, timeoutMs) => server.stderr.waitFor(pattern, timeoutMs),
      dropConnections,
      async stop() {
        await dropConnections()
        await server.stop()
        await folder.dispose()
      },
    }
  } catch (error) {
    await folder.dispose()
    throw error
  }
}

/** The port may be taken between its choice and sshd's start: then another is tried. */
async function listen(
  configFile: string,
  hostKeyFiles: Sshd['hostKeyFiles'],
  options: SshdOptions,
): Promise<{ server: Running; port: number }> {
  for (let tries = 1; ; tries++) {
    const port = options.port ?? (await findFreePort())
    await writeFile(configFile, writeConfig(port, hostKeyFiles, options))
    const server = await start(peerPath('sshd'), ['-D', '-e', '-f', configFile])
    try {
      await server.waitFor(new RegExp(`Server listening on 127\\.0\\.0\\.1 port ${port}`))
      return { server, port }
    } catch (error) {
      await server.stop()
      if (tries === 20 || !server.stderr.text.includes('Address already in use')) throw error
      await sleep(100)
    }
  }
}

function writeConfig(port: number, hostKeyFiles: Sshd['hostKeyFiles'], options: SshdOptions): string {
  const names = (users: readonly SystemUser[]) => users.map(({ name }) => name).join(' ')
  const passwordUsers = names(options.passwordUsers ?? options.users)
  const lines = [
    ...(options.config ?? []),
    `Port ${port}`,
    'ListenAddress 127.0.0.1',
    ...hostKeyTypes.map(type => `HostKey ${hostKeyFiles[type]}`),
    'PidFile none',
    // Without PAM the password is checked against shadow alone, and no module of this machine has a say.
    'UsePAM no',
    'UseDNS no',
    'PasswordAuthentication no',
    'KbdInteractiveAuthentication no',
    'PubkeyAuthentication yes',
    'AuthorizedKeysFile .ssh/authorized_keys',
    `AllowUsers ${names(options.users)}`,
    'LogLevel VERBOSE',
    'PrintMotd no',
    'PrintLastLog no',
    // Of this one sshd takes the last value.
    ...(options.config?.some(line => line.startsWith('MaxStartups')) ? [] : ['MaxStartups 500']),
    'MaxSessions 500',
    'Subsystem sftp internal-sftp',
  ]
  if (passwordUsers) lines.push(`Match User ${passwordUsers.replaceAll(' ', ',')}`, '  PasswordAuthentication yes')
  return `${lines.join('\n')}\n`
}

async function makeHostKeys(folder: string): Promise<Record<HostKeyType, string>> {
  const files = { ed25519: join(folder, 'ed25519'), rsa: join(folder, 'rsa'), ecdsa: join(folder, 'ecdsa') }
  // 2048 bits: these live for seconds, and larger ones take seconds to find.
  const size = (type: HostKeyType) => (type === 'rsa' ? ['-b', '2048'] : [])
  const make = (type: HostKeyType) =>
    runOrThrow(peerPath('ssh-keygen'), ['-q', '-t', type, ...size(type), '-N', '', '-C', '', '-f', files[type]])
  await Promise.all(hostKeyTypes.map(make))
  return files
}

async function readFingerprint(file: string): Promise<string> {
  const { stdout } = await runOrThrow(peerPath('ssh-keygen'), ['-l', '-f', `${file}.pub`])
  return stdout.split(' ')[1] ?? ''
}

async function readEach(
  files: Sshd['hostKeyFiles'],
  read: (file: string) => Promise<string>,
): Promise<Record<HostKeyType, string>> {
  const [ed25519, rsa, ecdsa] = await Promise.all([read(files.ed25519), read(files.rsa), read(files.ecdsa)])
  return { ed25519, rsa, ecdsa }
}
