// How long a person waits after logging in: from the agent's start to the first signature of a key whose passphrase lies
// in the keychain. Beside it what nobody can do without: node's start, and the key's KDF, as ssh-keygen takes it.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { encode } from './agent-frames.mjs'
import { interleave, spread } from './measure.mjs'

export const title = 'agent start to first signature with a remembered key, beside node -e 0 and ssh-keygen -y'

const ROUNDS = 15
const PASSPHRASE = 'plugh-xyzzy-4711'
/** Between two looks for the agent's socket, and at most for all of them, in milliseconds. */
const PAUSE_MS = 2
const START_MS = 10_000
/** RFC 9987: the answer to a request for a signature. */
const SIGN_RESPONSE = 14

export async function measure(world) {
  const bus = join(world.runtime, 'bus')
  Object.assign(world.env, { DBUS_SESSION_BUS_ADDRESS: `unix:path=${bus}` })
  await world.start('dbus-daemon', ['--session', '--nofork', '--print-address', `--address=unix:path=${bus}`], /unix:/)
  const password = join(world.home, 'login-password')
  await writeFile(password, 'login', { mode: 0o600 })
  const unlock = 'echo ready; exec gnome-keyring-daemon --foreground --unlock --components=secrets <"$0"'
  await world.start('/bin/sh', ['-c', unlock, password], /ready/)
  await waitForKeychain(world)
  await writeFile(password, `${PASSPHRASE}\n`)

  const key = join(world.home, 'login-key')
  const [node, args] = world.keytool(['gen', '-f', key, '--remember', '--passphrase-file', password])
  world.run(node, args)
  const request = {
    number: 13,
    key: (await readFile(`${key}.pub`, 'utf8')).split(' ')[1],
    algorithm: 'ssh-ed25519',
    flags: 0,
  }
  const took = await interleave(ROUNDS, {
    ours: () => timeLogin(world, request),
    node: () => world.time(node, ['-e', '0']),
    kdf: () => world.time('ssh-keygen', ['-y', '-P', PASSPHRASE, '-f', key]),
  })
  const more = took.ours.median - took.node.median - took.kdf.median
  return [
    {
      what: 'beside node -e 0 and ssh-keygen -y together',
      ours: spread(took.ours, ' ms'),
      peer: `${spread(took.node, ' ms')} + ${spread(took.kdf, ' ms')}`,
      measured: `+${more.toFixed(0)} ms`,
      wanted: '<= +150 ms',
      note: `of the quickest: +${(took.ours.min - took.node.min - took.kdf.min).toFixed(0)} ms`,
    },
  ]
}

/** Until it answers: it does not say when. */
async function waitForKeychain(world) {
  const end = performance.now() + START_MS
  const [node, args] = world.keytool(['keychain', 'list'])
  for (;;) {
    try {
      world.run(node, args)
      return
    } catch (error) {
      if (performance.now() > end) throw error
    }
    await sleep(100)
  }
}

/** @returns milliseconds from the agent's start to its first signature */
async function timeLogin(world, request) {
  const [node, args] = world.keytool(['agent', '-D'])
  const began = performance.now()
  const agent = spawn(node, args, { env: world.env, stdio: 'ignore' })
  try {
    const socket = await reach(join(world.runtime, 'keytool', 'agent.sock'), began + START_MS)
    socket.write(encode(request).frame)
    const [answer] = await once(socket, 'data')
    const took = performance.now() - began
    socket.destroy()
    if (answer[4] !== SIGN_RESPONSE) throw new Error(`the agent answered with ${answer[4]}`)
    return took
  } finally {
    agent.kill('SIGTERM')
    if (agent.exitCode === null) await once(agent, 'exit')
  }
}

/** As soon as it can be reached. */
async function reach(path, end) {
  for (;;) {
    const socket = connect(path)
    const isThere = await once(socket, 'connect').then(
      () => true,
      () => false,
    )
    if (isThere) return socket
    if (performance.now() > end) throw new Error('the agent took too long to start')
    await sleep(PAUSE_MS)
  }
}
