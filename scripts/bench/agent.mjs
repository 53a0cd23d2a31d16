// Requests a second that an agent answers, ours and those of others, under the same load; how long a request waits behind
// heavy ones; what the agent takes in memory. Ours runs on the Node that runs this, or on the one that KEYTOOL_NODE names
// (KEYTOOL_NODE=/path/to/node npm run bench -- agent). The newer ones are those that scripts/newest-peers fetched, or
// what lies in the Debian that KEYTOOL_PEERS names: a folder for chroot. Takes three to four minutes.
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { atLeast, wantedRate, withinP99 } from './agent-goals.mjs'
import { makeKeys } from './agent-keys.mjs'
import { measureMemory, memoryRows } from './agent-memory.mjs'
import { findAgents } from './agent-peers.mjs'
import { interleave, median, quantile, ratio, spread } from './measure.mjs'

export const title =
  'requests a second; load: what the load generator used of a core, asking ours, asking the one beside it'

/** Short, and so more of them: whatever else the machine does hits few. */
const SLICE_MS = 350
const ROUNDS = 6
/** Requests that wait are few beside a busy ssh-agent: more time brings enough of them for a p99. */
const WAIT_SLICE_MS = 2000
const WAIT_ROUNDS = 4
/** Between two that are timed, in milliseconds: a login now and then, no load of its own. */
const PAUSE_MS = 5

const clientsOf = { ed25519: [1, 8, 64], 'ecdsa-256': [1, 8, 64], 'rsa-3072': [1, 8], 'rsa-4096': [1, 8] }

export async function measure(world) {
  const { agents, left } = await findAgents(world)
  const [ours, ...peers] = agents
  console.log(`  ours on node ${ours.version}, beside ${peers.map(({ name }) => name).join(', ')}`)
  for (const what of left) console.log(`  left out: ${what}`)
  const { requests, signing, more } = await makeKeys(world, Object.keys(clientsOf))
  const rows = await measureMemory(world, agents, [...signing, ...more])

  const started = []
  for (const agent of agents) started.push([agent, await agent.start()])
  const add = files => {
    for (const [, { socket }] of started) world.run('ssh-add', ['-q', ...files], { SSH_AUTH_SOCK: socket })
  }
  const load = fork(fileURLToPath(new URL('agent-load.mjs', import.meta.url)), { env: world.env })
  const bench = { started, order: what => order(load, what) }
  try {
    add(signing)
    for (const [kind, counts] of Object.entries(clientsOf)) {
      for (const clients of counts) rows.push(...(await compareRates(bench, kind, kind, requests[kind], clients)))
    }
    rows.push(...(await compareWaits(bench, requests.ed25519, { request: requests['rsa-4096'], clients: 8 })))
    add(more)
    const what = `list of ${signing.length + more.length} keys`
    for (const clients of [1, 8]) rows.push(...(await compareRates(bench, what, 'list', requests.list, clients)))
    rows.push(...(await memoryRows('RSS, after all this', started, false)))
    return rows
  } finally {
    load.disconnect()
    for (const [, { stop }] of started) await stop()
  }
}

async function order(load, what) {
  load.send(what)
  const [{ error, ...result }] = await once(load, 'message')
  if (error) throw new Error(`${what.socket}: ${error}`)
  return result
}

async function compareRates({ started, order }, what, kind, request, clients) {
  const shares = new Map(started.map(([{ name }]) => [name, []]))
  const turn = ([{ name }, { socket }]) => [
    name,
    async () => {
      const { perSecond, share } = await order({ socket, request, clients, ms: SLICE_MS })
      shares.get(name).push(share)
      return perSecond
    },
  ]
  const rates = await interleave(ROUNDS, Object.fromEntries(started.map(turn)))
  const percent = name => `${(median(shares.get(name)) * 100).toFixed(0)}%`
  const [ours, ...peers] = started.map(([agent]) => agent)
  return peers.map((peer, index) => {
    const measured = rates.ours.median / rates[peer.name].median
    return {
      ...(index === 0 && { what: `${what}, ${clients} client${clients === 1 ? '' : 's'}`, ours: spread(rates.ours) }),
      beside: peer.name,
      peer: spread(rates[peer.name]),
      measured: ratio(rates.ours.median, rates[peer.name].median),
      wanted: atLeast(wantedRate(kind, clients, peer, ours.version), measured),
      note: `load ${percent('ours')}, ${percent(peer.name)}`,
    }
  })
}

/** The times of all rounds together: a round has too few for a p99 of its own. */
async function compareWaits({ started, order }, request, behind) {
  const times = new Map(started.map(([{ name }]) => [name, []]))
  const turn = ([{ name }, { socket }]) => [
    name,
    async () => {
      const result = await order({ socket, request, behind, pause: PAUSE_MS, ms: WAIT_SLICE_MS })
      times.get(name).push(...result.times)
      return median(result.times)
    },
  ]
  await interleave(WAIT_ROUNDS, Object.fromEntries(started.map(turn)))
  const p99 = new Map([...times].map(([name, all]) => [name, quantile(all, 0.99)]))
  const show = name =>
    `${p99.get(name).toFixed(1)} ms (median ${median(times.get(name)).toFixed(1)}, of ${times.get(name).length})`
  return started.slice(1).map(([{ name }], index) => ({
    ...(index === 0 && { what: `ed25519, p99 behind ${behind.clients} of rsa-4096`, ours: show('ours') }),
    beside: name,
    peer: show(name),
    measured: ratio(p99.get('ours'), p99.get(name)),
    wanted: withinP99(p99.get('ours') / p99.get(name)),
  }))
}
