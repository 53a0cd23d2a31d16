// sshd, which lets one cipher in, and the clients that hold a forward through it: ours, ssh's, PuTTY's.

import { once } from 'node:events'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { userInfo } from 'node:os'
import { join } from 'node:path'

const HOST = '127.0.0.1'
/** A thousand streams take a descriptor each, at sshd and at ssh more than one. */
const MANY_FILES = 'ulimit -n "$(ulimit -Hn)" && exec "$0" "$@"'

/** Keys that all of them log in with, and the server's. */
export async function makeKeys(world) {
  const [key, hostKey] = [join(world.home, 'tunnel'), join(world.home, 'host-key')]
  for (const file of [key, hostKey]) world.run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', file])
  await writeFile(join(world.home, 'authorized_keys'), await readFile(`${key}.pub`), { mode: 0o600 })
  const hasPutty = world.find('plink') !== '' && world.find('puttygen') !== ''
  if (hasPutty) world.run('puttygen', [key, '-O', 'private', '-o', `${key}.ppk`])
  const fingerprint = world.run('ssh-keygen', ['-lf', `${hostKey}.pub`]).split(' ')[1]
  return { key, hostKey, hasPutty, fingerprint }
}

/** OpenSSH's server for the very user that runs this: it needs no account of its own. @returns its port */
export async function startSshd(world, { hostKey }, cipher) {
  // Where root runs it, sshd wants its folder; Debian's service makes it at every start.
  if (userInfo().uid === 0) await mkdir('/run/sshd', { recursive: true, mode: 0o755 })
  const port = await findFreePort()
  const config = [
    `Port ${port}`,
    `ListenAddress ${HOST}`,
    `HostKey ${hostKey}`,
    `Ciphers ${cipher}`,
    'PidFile none',
    'UsePAM no',
    // Its folder lies below one that everybody may write to.
    'StrictModes no',
    `AuthorizedKeysFile ${world.home}/authorized_keys`,
    'PermitRootLogin prohibit-password',
    'PasswordAuthentication no',
  ]
  const file = join(world.home, `sshd_config-${port}`)
  await writeFile(file, `${config.join('\n')}\n`)
  await world.start(...manyFiles([world.find('sshd'), ['-D', '-e', '-f', file]]), /Server listening/)
  return port
}

/** @returns the contestants by name: each starts a client, and gives the forward's port and who holds it */
export function clientsFor(world, { key, hasPutty, fingerprint }, sshd, target) {
  const user = userInfo().username
  const forward = port => `${HOST}:${port}:${HOST}:${target}`
  const at = [`${user}@${HOST}`, '-P', String(sshd)]
  const commands = {
    ours: port => {
      const args = ['tunnel', `${user}@${HOST}`, '-p', String(sshd), '-i', key, '-L', forward(port), '--probe', '0']
      return { command: world.keytool([...args, '--host-key', fingerprint], process.env.KEYTOOL_NODE), ready: / -> / }
    },
    ssh: port => {
      const options = [
        '-F',
        'none',
        '-o',
        `UserKnownHostsFile=${world.home}/known`,
        '-o',
        'StrictHostKeyChecking=no',
        '-v',
      ]
      const args = [...options, '-N', '-i', key, '-p', String(sshd), '-L', forward(port), `${user}@${HOST}`]
      return { command: manyFiles(['ssh', args]), ready: /Entering interactive session/ }
    },
    ...(hasPutty && {
      plink: port => {
        const args = ['-batch', '-v', '-N', '-hostkey', fingerprint, '-i', `${key}.ppk`, '-L', forward(port), ...at]
        return { command: manyFiles(['plink', args]), ready: /Local port .* forwarding to/ }
      },
    }),
  }
  return Object.fromEntries(
    Object.entries(commands).map(([name, describe]) => [
      name,
      async () => {
        const port = await findFreePort()
        const { command, ready } = describe(port)
        return { port, command, start: () => world.start(...command, ready) }
      },
    ]),
  )
}

function manyFiles([program, args]) {
  return ['/bin/sh', ['-c', MANY_FILES, program, ...args]]
}

async function findFreePort() {
  const server = createServer().listen(0, HOST)
  await once(server, 'listening')
  const { port } = server.address()
  server.close()
  await once(server, 'close')
  return port
}
