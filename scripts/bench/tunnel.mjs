// What goes through a -L forward, ours, ssh's and PuTTY's, through the same sshd, which names the cipher. Ours runs on
// the Node that runs this, or on the one that KEYTOOL_NODE names. Takes three to four minutes. Both ends of the
// bytes are on this machine, too: with two cores, four processes share them.
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { interleave, median, quantile, ratio, spread } from './measure.mjs'
import * as goals from './tunnel-goals.mjs'
import * as near from './tunnel-near.mjs'
import { clientsFor, makeKeys, startSshd } from './tunnel-peers.mjs'

export const title =
  'a -L forward beside those of ssh and plink; throughput in MiB/s, of all streams together; note: CPU of the client, ours and the other, in ms a MiB'

const ciphers = ['aes128-gcm', 'aes256-gcm', 'chacha20-poly1305']
const MIB = 96
const ROUNDS = 3
/** At a time, for connections a second. */
const CLIENTS = 8
const SLICE_MS = 500
const OPENINGS = 100
const OPENING_ROUNDS = 5
const TOGETHER = 1000
const START_ROUNDS = 7
const START_LIMIT_MS = 10_000
const SLOW_MIB = 256

export async function measure(world) {
  const keys = await makeKeys(world)
  const far = fork(fileURLToPath(new URL('tunnel-far.mjs', import.meta.url)), { env: world.env })
  const [target] = await once(far, 'message')
  try {
    const rows = []
    for (const cipher of ciphers) {
      const sshd = await startSshd(world, keys, `${cipher}@openssh.com`)
      const clients = clientsFor(world, keys, sshd, target)
      // Ours takes the first of them by itself: what is not throughput is measured with that one alone.
      if (cipher === ciphers[0]) rows.push(...(await compareTheRest(world, clients)))
      const running = await startAll(clients)
      rows.push(...(await compareThroughput(cipher, running)))
      await stopAll(world, running)
    }
    return rows
  } finally {
    far.disconnect()
  }
}

async function compareTheRest(world, clients) {
  const rows = await compareStarts(world, clients)
  const running = await startAll(clients)
  rows.push(...(await compareMemory(running)))
  // In this order: the first few hundred connections of a program in JavaScript are slower than those that follow.
  rows.push(...(await compareConnections(running)))
  rows.push(...(await compareOpenings(running)))
  rows.push(...(await openTogether(running)))
  await stopAll(world, running)
  return rows
}

async function startAll(clients) {
  const running = {}
  for (const [name, prepare] of Object.entries(clients)) {
    const { port, start } = await prepare()
    running[name] = { port, child: await start() }
  }
  return running
}

async function stopAll(world, running) {
  for (const { child } of Object.values(running)) await world.stop(child)
}

async function compareThroughput(cipher, running) {
  const rows = []
  for (const [what, move] of [
    ['up', near.send],
    ['down', near.receive],
  ]) {
    for (const streams of [1, 4, 16]) {
      const spent = Object.fromEntries(Object.keys(running).map(name => [name, 0]))
      const results = await inTurns(ROUNDS, running, async ({ port, child }, name) => {
        const before = await cpuMs(child.pid)
        const speed = await move(port, streams, MIB)
        spent[name] += (await cpuMs(child.pid)) - before
        return speed
      })
      // All rounds, the first one too: the system counts in steps of 10 ms.
      const each = name => (spent[name] / (MIB * (ROUNDS + 1))).toFixed(2)
      const name = `${cipher}, ${streams} stream${streams === 1 ? '' : 's'} ${what}`
      const beside = besides(name, results, measured => goals.atLeast(goals.throughput[cipher], measured))
      rows.push(...beside.map(row => ({ ...row, note: `${each('ours')}, ${each(row.beside)}` })))
    }
  }
  return rows
}

async function compareConnections(running) {
  const results = await inTurns(ROUNDS, running, ({ port }) => near.countConnections(port, CLIENTS, SLICE_MS))
  return besides(`connections a second, ${CLIENTS} at a time`, results, measured =>
    goals.atLeast(goals.CONNECTIONS, measured),
  )
}

async function compareOpenings(running) {
  const times = Object.fromEntries(Object.keys(running).map(name => [name, []]))
  await inTurns(OPENING_ROUNDS, running, async ({ port }, name) => {
    const round = await near.timeOpenings(port, OPENINGS)
    times[name].push(...round)
    return median(round)
  })
  const rows = []
  for (const [what, of, wanted] of [
    ['open to first byte back, p50', median, true],
    ['open to first byte back, p99', all => quantile(all, 0.99), false],
  ]) {
    const values = Object.fromEntries(Object.entries(times).map(([name, all]) => [name, of(all)]))
    const show = value => `${value.toFixed(2)} ms`
    rows.push(...single(what, values, show, wanted && (measured => goals.atMost(goals.LATENCY, measured, 'x'))))
  }
  return rows
}

async function openTogether(running) {
  const failed = {}
  for (const [name, { port }] of Object.entries(running)) failed[name] = await near.openTogether(port, TOGETHER)
  const [ours, ...peers] = Object.entries(failed)
  return peers.map(([beside, count], index) => ({
    ...(index === 0 && {
      what: `${TOGETHER} streams at once`,
      ours: `${ours[1]} failed`,
      measured: `${ours[1]} failed`,
      wanted: goals.atMost(0, ours[1], ' failed'),
    }),
    beside,
    peer: `${count} failed`,
  }))
}

async function compareMemory(running) {
  const most = {}
  for (const [name, { port, child }] of Object.entries(running)) {
    let highest = 0
    await near.receiveSlowly(port, SLOW_MIB, async () => {
      highest = Math.max(highest, await residentMib(child.pid))
    })
    most[name] = highest
  }
  const [ours, ...peers] = Object.entries(most)
  const show = value => `${value.toFixed(0)} MiB`
  return peers.map(([beside, mib], index) => ({
    ...(index === 0 && {
      what: `RSS while ${SLOW_MIB} MiB pass a slow reader`,
      ours: show(ours[1]),
      measured: show(ours[1]),
      wanted: goals.atMost(goals.RSS_MIB, ours[1], ' MiB'),
    }),
    beside,
    peer: show(mib),
  }))
}

async function compareStarts(world, clients) {
  const results = await inTurns(START_ROUNDS, clients, async prepare => {
    const { port, command } = await prepare()
    const began = performance.now()
    const child = await world.start(...command)
    await near.firstByte(port, began + START_LIMIT_MS)
    const took = performance.now() - began
    await world.stop(child)
    return took
  })
  const [ours, ...peers] = Object.entries(results)
  return peers.map(([beside, result], index) => {
    const more = ours[1].median - result.median
    return {
      ...(index === 0 && { what: 'start to first byte back', ours: spread(ours[1], ' ms') }),
      beside,
      peer: spread(result, ' ms'),
      measured: `${more < 0 ? '' : '+'}${more.toFixed(0)} ms`,
      ...(beside === 'ssh' && { wanted: goals.atMost(goals.START_MS, more, ' ms more') }),
    }
  })
}

function inTurns(rounds, contestants, measureOne) {
  const turns = Object.entries(contestants).map(([name, contestant]) => [name, () => measureOne(contestant, name)])
  return interleave(rounds, Object.fromEntries(turns))
}

/** One row for each that stands beside ours; something is wanted beside ssh alone. */
function besides(what, results, wanted) {
  const [ours, ...peers] = Object.entries(results)
  return peers.map(([beside, result], index) => ({
    ...(index === 0 && { what, ours: spread(ours[1]) }),
    beside,
    peer: spread(result),
    measured: ratio(ours[1].median, result.median),
    ...(beside === 'ssh' && { wanted: wanted(ours[1].median / result.median) }),
  }))
}

function single(what, values, show, wanted) {
  const [ours, ...peers] = Object.entries(values)
  return peers.map(([beside, value], index) => ({
    ...(index === 0 && { what, ours: show(ours[1]) }),
    beside,
    peer: show(value),
    measured: ratio(ours[1], value),
    ...(beside === 'ssh' && wanted && { wanted: wanted(ours[1] / value) }),
  }))
}

/** What a process has taken of the processors so far, in milliseconds. */
async function cpuMs(pid) {
  const fields = (await readFile(`/proc/${pid}/stat`, 'utf8')).replace(/^.*\) /, '').split(' ')
  // utime and stime, in hundredths of a second: proc(5).
  return (Number(fields[11]) + Number(fields[12])) * 10
}

async function residentMib(pid) {
  const status = await readFile(`/proc/${pid}/status`, 'utf8')
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) / 1024
}
