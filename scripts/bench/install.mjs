// Putting a key on many servers: one call of ours beside ssh-copy-id in a loop, by password, on hosts that do not have it
// yet. Both prove nothing less: ours logs in with the key alone afterwards, ssh-copy-id tries it before.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { openHosts } from './install-hosts.mjs'
import { interleave, ratio, spread } from './measure.mjs'

export const title = 'one key on many servers, beside ssh-copy-id in a loop (a host each, milliseconds)'

const ROUNDS = 3
const HOSTS = 200
/** The loop takes as long for each host as for the next. */
const LOOPED = 15
const WANTED = 4
const WANTED_MIB = 150
const PAUSE_MS = 20

export async function measure(world) {
  const there = await openHosts(world, HOSTS)
  const key = join(world.home, 'install-key')
  const password = join(world.home, 'install-password')
  // ssh-copy-id works in there.
  await mkdir(join(world.home, '.ssh'), { mode: 0o700 })
  world.run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', '', '-f', key])
  await writeFile(password, `${there.password}\n`, { mode: 0o600 })
  const silent = createServer(socket => socket.on('error', () => {})).listen(0, '127.0.0.1')
  await once(silent, 'listening')
  const mute = `ssh://x@127.0.0.1:${silent.address().port}`
  const install = (...more) => runOurs(world, there, ['-i', key, '--password-file', password, ...more])
  let peak = 0
  try {
    const took = await interleave(ROUNDS, {
      async ours() {
        const { ms, rss } = await install()
        peak = Math.max(peak, rss)
        return ms / HOSTS
      },
      delayed: async () => (await install(mute)).ms / HOSTS,
      async peer() {
        await there.clear()
        const began = performance.now()
        for (const { word } of there.hosts.slice(0, LOOPED)) world.run('sshpass', copyId(there, key, password, word))
        return (performance.now() - began) / LOOPED
      },
    })
    return [
      {
        what: `${HOSTS} hosts in one call`,
        ours: spread(took.ours),
        beside: 'ssh-copy-id',
        peer: spread(took.peer),
        measured: ratio(took.peer.median, took.ours.median),
        wanted: `>= ${WANTED}x`,
      },
      {
        what: 'until all have it, with one more that never says a word',
        ours: spread(took.delayed),
        beside: 'without that one',
        peer: spread(took.ours),
        measured: ratio(took.delayed.median, took.ours.median),
        wanted: '<= 1.1x',
      },
      {
        what: 'most memory of all rounds',
        ours: `${peak.toFixed(0)} MiB`,
        peer: '',
        measured: `${peak.toFixed(0)} MiB`,
        wanted: `< ${WANTED_MIB} MiB`,
      },
    ]
  } finally {
    silent.close()
  }
}

function copyId({ port, knownHosts }, key, password, word) {
  const options = ['-p', port, '-F', 'none', '-o', `UserKnownHostsFile=${knownHosts}`, '-o', 'IdentityAgent=none']
  return ['-f', password, 'ssh-copy-id', '-i', `${key}.pub`, ...options, word]
}

/**
 * @param args the first words may be hosts that come before all others
 * @returns milliseconds until the program is done, or, with a host that it is never done with, until all others have the key;
 * and the most memory it had, in MiB
 */
async function runOurs(world, there, args) {
  await there.clear()
  const words = there.hosts.map(({ word }) => word.replace(/^/, 'ssh://').concat(`:${there.port}`))
  const line = ['install-pubkey', '-o', `UserKnownHostsFile=${there.knownHosts}`, ...args, ...words]
  const [node, rest] = world.keytool(line)
  const began = performance.now()
  const child = spawn(node, rest, { env: world.env, stdio: ['ignore', 'pipe', 'pipe'] })
  const said = Promise.all([child.stdout, child.stderr].map(text))
  const ended = once(child, 'exit')
  const neverEnds = args.at(-1)?.startsWith('ssh://') === true
  let rss = 0
  let isOver = false
  ended.then(() => {
    isOver = true
  })
  while (!isOver && !(neverEnds && (await there.haveAll()))) {
    rss = Math.max(rss, await peakOf(child.pid))
    await sleep(PAUSE_MS)
  }
  const ms = performance.now() - began
  if (neverEnds) child.kill('SIGINT')
  const [status] = await ended
  if (status !== (neverEnds ? 130 : 0)) throw new Error(`install-pubkey ended with ${status}: ${(await said).join('')}`)
  if (!(await there.haveAll())) throw new Error('not all have the key')
  return { ms, rss }
}

async function text(stream) {
  let all = ''
  for await (const chunk of stream.setEncoding('utf8')) all += chunk
  return all
}

/** In MiB, as the kernel counts it. */
async function peakOf(pid) {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '')
  return Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0) / 1024
}
