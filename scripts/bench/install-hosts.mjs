// Two hundred hosts for keys to be put on: addresses of 127.0.0.0/8, each with a home of its own for one and the same
// account. sshd takes sixteen listeners, so there are as many of it as are needed.

import { spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { chown, mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const LISTENERS = 16
const PORT = 42022

/**
 * @param {number} size
 * @returns hosts that are there until the world goes
 */
export async function openHosts(world, size) {
  // Not below our own home: the account has to get there.
  const folder = await mkdtemp(join(tmpdir(), 'kt-hosts-'))
  world.removeLater(folder)
  const user = makeUser(folder)
  await makeReachable(folder)
  const hostKey = join(folder, 'host-key')
  world.run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', '', '-f', hostKey])
  await mkdir('/run/sshd', { recursive: true, mode: 0o755 })
  const hosts = Array.from({ length: size }, (_, i) => {
    const address = `127.3.${i >> 7}.${(i & 127) + 1}`
    return { address, word: `${user.name}@${address}`, home: join(folder, address) }
  })
  for (const { home } of hosts) {
    await mkdir(home, { mode: 0o700 })
    await chown(home, user.uid, user.gid)
  }
  for (let i = 0; i < size; i += LISTENERS) {
    const config = join(folder, `sshd_config-${i}`)
    await writeFile(config, configOf(hosts.slice(i, i + LISTENERS), hostKey))
    await world.start(world.find('sshd'), ['-D', '-e', '-f', config], /Server listening/)
  }
  const [type, blob] = (await readFile(`${hostKey}.pub`, 'utf8')).split(' ')
  const knownHosts = join(world.home, 'known_hosts')
  await writeFile(knownHosts, `[127.*]:${PORT} ${type} ${blob}\n`)
  const files = hosts.map(({ home }) => join(home, '.ssh', 'authorized_keys'))
  return {
    hosts,
    knownHosts,
    port: String(PORT),
    password: user.password,
    /** Whether each has a key. */
    haveAll: async () => (await Promise.all(files.map(file => stat(file).catch(() => undefined)))).every(Boolean),
    /** As in the beginning. */
    clear: () => Promise.all(hosts.map(({ home }) => rm(join(home, '.ssh'), { recursive: true, force: true }))),
  }
}

function configOf(hosts, hostKey) {
  return [
    `Port ${PORT}`,
    ...hosts.map(({ address }) => `ListenAddress ${address}`),
    `HostKey ${hostKey}`,
    'PidFile none',
    'UsePAM no',
    'UseDNS no',
    'KbdInteractiveAuthentication no',
    'MaxStartups 500',
    ...hosts.map(
      ({ address, home }) =>
        `Match LocalAddress ${address}\n  SetEnv HOME=${home}\n  AuthorizedKeysFile ${home}/.ssh/authorized_keys`,
    ),
    '',
  ].join('\n')
}

/** A user of this system who goes with this process. Needs root. */
function makeUser(folder) {
  const name = `kbench${randomBytes(4).toString('hex')}`
  const password = randomBytes(12).toString('base64url')
  const flags = ['--no-create-home', '--no-user-group', '--no-log-init', '--shell', '/bin/sh', '--home-dir', folder]
  system('useradd', [...flags, name])
  process.once('exit', () => spawnSync('userdel', ['--force', name]))
  system('chpasswd', [], `${name}:${password}\n`)
  const [uid, gid] = ['-u', '-g'].map(flag => Number(system('id', [flag, name])))
  return { name, password, uid, gid }
}

/** The folder lies where only we may look. */
async function makeReachable(folder) {
  system('chmod', ['711', folder])
}

function system(program, args, input = '') {
  const { status, stdout, stderr, error } = spawnSync(program, args, { input, encoding: 'utf8' })
  if (status !== 0) throw new Error(`${program} ended with ${status}: ${error?.message ?? stderr}`)
  return stdout
}
