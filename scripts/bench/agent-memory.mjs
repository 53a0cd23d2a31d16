// What an agent takes while nobody asks, just started and with many keys. What it takes after work is read by agent.mjs.
import { readFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { withinRss } from './agent-goals.mjs'

/** Time to come to rest, in milliseconds. */
const REST_MS = 1000

/** Starts agents of its own, so that none has worked before. */
export async function measureMemory(world, agents, files) {
  const started = []
  for (const agent of agents) started.push([agent, await agent.start()])
  await sleep(REST_MS)
  const rows = await memoryRows('RSS, just started', started, true)
  for (const [, { socket }] of started) world.run('ssh-add', ['-q', ...files], { SSH_AUTH_SOCK: socket })
  await sleep(REST_MS)
  rows.push(...(await memoryRows(`RSS, ${files.length} keys`, started, true)))
  for (const [, { stop }] of started) await stop()
  return rows
}

/** Ours has a limit, not a ratio: it stands in the first row alone. @param {boolean} isIdle nobody has asked for anything before: that is what a limit was laid down for */
export async function memoryRows(what, started, isIdle) {
  const [ours, ...peers] = await Promise.all(
    started.map(async ([agent, { pid }]) => ({ agent, mib: await residentMib(pid) })),
  )
  return peers.map(({ agent, mib }, index) => ({
    ...(index === 0 && { what, ours: show(ours.mib), measured: show(ours.mib) }),
    ...(index === 0 && isIdle && { wanted: withinRss(ours.mib) }),
    beside: agent.name,
    peer: show(mib),
  }))
}

async function residentMib(pid) {
  const status = await readFile(`/proc/${pid}/status`, 'utf8')
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) / 1024
}

function show(mib) {
  return `${mib.toFixed(1)} MiB`
}
