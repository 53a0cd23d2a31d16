import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { peerPath } from './peers.js'
import { findFreePort } from './port.js'
import { runOrThrow } from './run.js'
import { type Running, start } from './start.js'

const peersFolder = fileURLToPath(new URL('../../build/peers/', import.meta.url))
const STEADY = 'trixie'
const ON_REQUEST = ['sid']
/** The system users a server needs. Nobody logs in as anybody but root, who owns all that is there. */
const passwd = 'root:x:0:0:root:/:/bin/sh\nsshd:x:100:65534::/run/sshd:/usr/sbin/nologin\n'

/** A server of a newer OpenSSH, on 127.0.0.1, with an Ed25519 host key. It runs no commands: there is no shell. */
export interface NewestSshd {
  readonly host: string
  readonly port: number
  /** A line for known_hosts. */
  readonly knownHosts: string
  /** What it logged so far. */
  log(): string
  waitForLog(pattern: RegExp, timeoutMs?: number): Promise<RegExpExecArray>
  stop(): Promise<void>
}

/** A newer Debian in a folder that has a server. */
export interface ServerSuite {
  readonly name: string
  /**
   * @param authorizedKeys lines that let in as root
   * @param config more lines for sshd_config, before all others
   */
  startSshd(authorizedKeys: readonly string[], config?: readonly string[]): Promise<NewestSshd>
}

/** Those that scripts/newest-peers has fetched. Says on standard error when there are none. */
export function newestServers(): ServerSuite[] {
  const isRoot = process.getuid?.() === 0
  const there = [STEADY, ...ON_REQUEST].filter(name => isRoot && existsSync(join(peersFolder, name, 'usr/sbin/sshd')))
  if (!there.includes(STEADY)) {
    process.stderr.write(`newest servers: not there; as root, ./scripts/newest-peers ${STEADY} fetches them\n`)
  }
  return there.map(name => ({
    name,
    startSshd: (authorizedKeys, config = []) => startIn(join(peersFolder, name), authorizedKeys, config),
  }))
}

async function startIn(
  root: string,
  authorizedKeys: readonly string[],
  config: readonly string[],
): Promise<NewestSshd> {
  const folder = await mkdtemp(join(root, 'tmp/kt-'))
  const inside = folder.slice(root.length)
  const dispose = () => rm(folder, { recursive: true, force: true })
  try {
    await prepare(root)
    await runOrThrow(peerPath('ssh-keygen'), ['-q', '-t', 'ed25519', '-N', '', '-C', '', '-f', join(folder, 'host')])
    await writeFile(join(folder, 'authorized_keys'), `${authorizedKeys.join('\n')}\n`)
    const { server, port } = await listen(root, inside, config)
    const [type, blob] = (await readFile(join(folder, 'host.pub'), 'utf8')).split(' ')
    return {
      host: '127.0.0.1',
      port,
      knownHosts: `[127.0.0.1]:${port} ${type} ${blob?.trim()}\n`,
      log: () => server.stderr.text,
      waitForLog: (pattern, timeoutMs) => server.stderr.waitFor(pattern, timeoutMs),
      async stop() {
        await server.stop()
        await dispose()
      },
    }
  } catch (error) {
    await dispose()
    throw error
  }
}

/** The port may be taken between its choice and sshd's start: then another is tried. */
async function listen(
  root: string,
  inside: string,
  config: readonly string[],
): Promise<{ server: Running; port: number }> {
  for (let tries = 1; ; tries++) {
    const port = await findFreePort()
    const lines = [
      ...config,
      `Port ${port}`,
      'ListenAddress 127.0.0.1',
      `HostKey ${inside}/host`,
      'PidFile none',
      'UseDNS no',
      'PasswordAuthentication no',
      'KbdInteractiveAuthentication no',
      'PermitRootLogin yes',
      // The folder is in one that everybody may write to.
      'StrictModes no',
      `AuthorizedKeysFile ${inside}/authorized_keys`,
      'LogLevel VERBOSE',
    ]
    await writeFile(join(root, inside, 'sshd_config'), `${lines.join('\n')}\n`)
    const server = await start('/usr/sbin/chroot', [root, '/usr/sbin/sshd', '-D', '-e', '-f', `${inside}/sshd_config`])
    try {
      await server.waitFor(/Server listening on 127\.0\.0\.1/)
      return { server, port }
    } catch (error) {
      await server.stop()
      if (tries === 5 || !server.stderr.text.includes('Address already in use')) throw error
    }
  }
}

async function prepare(root: string): Promise<void> {
  await mkdir(join(root, 'run/sshd'), { recursive: true, mode: 0o755 })
  const file = join(root, 'etc/passwd')
  if ((await readFile(file, 'utf8').catch(() => '')).includes('sshd:')) return
  // Other tests start servers in there meanwhile, which look into it.
  const fresh = `${file}.${process.pid}`
  await writeFile(fresh, passwd)
  await rename(fresh, file)
}
