// What goes through a forward, ours and ssh's, through the same sshd. Both ends of the bytes are in this process, which is
// why the same transfer without any tunnel stands beside them.
import { once } from 'node:events'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { connect, createServer } from 'node:net'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { interleave, ratio, spread } from './measure.mjs'

export const title = '64 MiB through one connection of a -L forward, MiB/s, beside ssh -L'

const SIZE = 64 * 1024 * 1024
const ROUNDS = 3
const HOST = '127.0.0.1'

export async function measure(world) {
  const key = join(world.home, 'tunnel')
  world.run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', key])
  const sshd = await startSshd(world, key)
  const far = await startFarEnd()
  try {
    const user = userInfo().username
    const ports = { none: far.port, ours: await findFreePort(), ssh: await findFreePort() }
    const forward = port => `${HOST}:${port}:${HOST}:${far.port}`
    const ours = ['tunnel', `${user}@${HOST}`, '-p', String(sshd.port), '-i', key, '-L', forward(ports.ours)]
    await world.start(...world.keytool([...ours, '--host-key', sshd.fingerprint]), / -> /)
    const options = [
      '-F',
      'none',
      '-o',
      `UserKnownHostsFile=${world.home}/known`,
      '-o',
      'StrictHostKeyChecking=no',
      '-v',
    ]
    const theirs = [...options, '-N', '-i', key, '-p', String(sshd.port), '-L', forward(ports.ssh), `${user}@${HOST}`]
    await world.start('ssh', theirs, /Entering interactive session/)

    const rows = []
    for (const [what, transfer] of Object.entries({ 'to the far side': send, 'from the far side': receive })) {
      const speed = port => async () => {
        const began = process.hrtime.bigint()
        await transfer(port)
        return SIZE / 1024 / 1024 / (Number(process.hrtime.bigint() - began) / 1e9)
      }
      const { ours, ssh, none } = await interleave(ROUNDS, {
        ours: speed(ports.ours),
        ssh: speed(ports.ssh),
        none: speed(ports.none),
      })
      const measured = ratio(ours.median, ssh.median)
      rows.push({ what, ours: spread(ours), peer: spread(ssh), measured, note: `without a tunnel ${spread(none)}` })
    }
    return rows
  } finally {
    far.server.close()
  }
}

/** OpenSSH's server for the very user that runs this: it needs no account of its own. */
async function startSshd(world, key) {
  const { home } = world
  const hostKey = join(home, 'host-key')
  world.run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', hostKey])
  // Where root runs it, sshd wants its folder; Debian's service makes it at every start.
  if (userInfo().uid === 0) await mkdir('/run/sshd', { recursive: true, mode: 0o755 })
  await writeFile(join(home, 'authorized_keys'), await readFile(`${key}.pub`), { mode: 0o600 })
  const port = await findFreePort()
  const config = [
    `Port ${port}`,
    `ListenAddress ${HOST}`,
    `HostKey ${hostKey}`,
    'PidFile none',
    'UsePAM no',
    // Its folder lies below one that everybody may write to.
    'StrictModes no',
    `AuthorizedKeysFile ${home}/authorized_keys`,
    'PermitRootLogin prohibit-password',
    'PasswordAuthentication no',
  ]
  await writeFile(join(home, 'sshd_config'), `${config.join('\n')}\n`)
  await world.start(world.find('sshd'), ['-D', '-e', '-f', join(home, 'sshd_config')], /Server listening/)
  return { port, fingerprint: world.run('ssh-keygen', ['-lf', `${hostKey}.pub`]).split(' ')[1] }
}

/** Takes or gives {@link SIZE} bytes, by the first byte that it is sent; answers one byte when all have come. */
async function startFarEnd() {
  const block = Buffer.alloc(64 * 1024, 7)
  const server = createServer({ allowHalfOpen: true }, socket => {
    let come = 0
    socket.on('error', () => socket.destroy())
    socket.on('data', chunk => {
      if (come === 0 && chunk[0] === GIVE) return void pour(socket, block)
      come += chunk.length
      if (come >= SIZE) socket.end('.')
    })
  }).listen(0, HOST)
  await once(server, 'listening')
  return { server, port: server.address().port }
}

const GIVE = 1
const TAKE = 2

async function send(port) {
  const socket = connect(port, HOST)
  socket.resume()
  const done = once(socket, 'end')
  await pour(socket, Buffer.alloc(64 * 1024, TAKE))
  await done
  socket.destroy()
}

async function receive(port) {
  const socket = connect(port, HOST)
  socket.write(Buffer.from([GIVE]))
  let come = 0
  for await (const chunk of socket) {
    come += chunk.length
    if (come >= SIZE) break
  }
  if (come !== SIZE) throw new Error(`${come} of ${SIZE} bytes came back`)
}

async function pour(socket, block) {
  for (let sent = 0; sent < SIZE; sent += block.length) {
    if (!socket.write(block)) await once(socket, 'drain')
  }
}

async function findFreePort() {
  const server = createServer().listen(0, HOST)
  await once(server, 'listening')
  const { port } = server.address()
  server.close()
  await once(server, 'close')
  return port
}
