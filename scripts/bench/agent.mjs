// Requests a second that an agent answers, ours and OpenSSH's, under the same load.
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { interleave, median, ratio, spread } from './measure.mjs'

export const title = "requests a second, beside OpenSSH's ssh-agent; load: what the load generator used of a core"

const SLICE_MS = 700
const ROUNDS = 4

const kinds = {
  ed25519: ['-t', 'ed25519'],
  'ecdsa-256': ['-t', 'ecdsa', '-b', '256'],
  'rsa-3072': ['-t', 'rsa', '-b', '3072'],
}

export async function measure(world) {
  const sockets = { ours: join(world.runtime, 'keytool', 'agent.sock'), openssh: join(world.runtime, 'openssh.sock') }
  await world.start(...world.keytool(['agent', '-D']), /Agent pid/)
  await world.start('ssh-agent', ['-D', '-a', sockets.openssh], /SSH_AUTH_SOCK/)
  const requests = { list: { number: 11 } }
  for (const [kind, options] of Object.entries(kinds)) {
    const file = join(world.home, `agent-${kind}`)
    world.run('ssh-keygen', ['-q', ...options, '-N', '', '-C', kind, '-f', file])
    for (const SSH_AUTH_SOCK of Object.values(sockets)) world.run('ssh-add', ['-q', file], { SSH_AUTH_SOCK })
    const key = (await readFile(`${file}.pub`, 'utf8')).split(' ')[1]
    // 4: rsa-sha2-512, what ssh asks for.
    requests[kind] = { number: 13, key, flags: kind.startsWith('rsa') ? 4 : 0 }
  }
  const load = fork(fileURLToPath(new URL('agent-load.mjs', import.meta.url)), { env: world.env })
  try {
    const rows = []
    for (const kind of [...Object.keys(kinds), 'list']) {
      for (const clients of [1, 8]) rows.push(await compare(load, sockets, kind, requests[kind], clients))
    }
    return rows
  } finally {
    load.disconnect()
  }
}

async function compare(load, sockets, kind, request, clients) {
  const shares = { ours: [], openssh: [] }
  const turn = name => async () => {
    load.send({ socket: sockets[name], request, clients, ms: SLICE_MS })
    const [{ perSecond, share, error }] = await once(load, 'message')
    if (error) throw new Error(`${name}, ${kind}: ${error}`)
    shares[name].push(share)
    return perSecond
  }
  const rates = await interleave(ROUNDS, { ours: turn('ours'), openssh: turn('openssh') })
  const percent = name => `${(median(shares[name]) * 100).toFixed(0)}%`
  return {
    what: `${kind}, ${clients} client${clients === 1 ? '' : 's'}`,
    ours: spread(rates.ours),
    peer: spread(rates.openssh),
    measured: ratio(rates.ours.median, rates.openssh.median),
    ...(kind === 'ed25519' && clients === 8 && { wanted: '>= 4x' }),
    note: `load ${percent('ours')}, ${percent('openssh')}`,
  }
}
