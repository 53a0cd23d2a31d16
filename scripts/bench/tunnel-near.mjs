// The near end of a forward: what somebody does with it, and how long that takes.
import { once } from 'node:events'
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { ECHO, GIVE, give, headOf, TAKE } from './tunnel-far.mjs'

const HOST = '127.0.0.1'
const MIB = 1024 * 1024

/** All that arrives lands here. */
const memory = Buffer.allocUnsafeSlow(256 * 1024)

/** @returns MiB a second, of so many streams together */
export async function receive(port, streams, mib) {
  return await timed(mib, () => all(streams, () => receiveOne(port, (mib * MIB) / streams)))
}

/** The same the other way. */
export async function send(port, streams, mib) {
  return await timed(mib, () => all(streams, () => sendOne(port, (mib * MIB) / streams)))
}

/** @returns connections a second: opened, one word there and back, closed; so many at a time, for `ms` milliseconds */
export async function countConnections(port, clients, ms) {
  const began = performance.now()
  const end = began + ms
  const counts = await all(clients, async () => {
    let count = 0
    for (; performance.now() < end; count++) await openOne(port)
    return count
  })
  return (counts.reduce((sum, count) => sum + count, 0) / (performance.now() - began)) * 1e3
}

/** @returns milliseconds from opening to the first byte that came back, of so many one after the other */
export async function timeOpenings(port, count) {
  const times = []
  for (let i = 0; i < count; i++) {
    const began = performance.now()
    await openOne(port)
    times.push(performance.now() - began)
  }
  return times
}

/** Opens so many at once, has a word from each, and holds them all until the last one had it. @returns how many failed */
export async function openTogether(port, count) {
  const results = await Promise.allSettled(Array.from({ length: count }, () => open(port)))
  const opened = results.filter(({ status }) => status === 'fulfilled').map(({ value }) => value)
  const again = await Promise.allSettled(opened.map(echo))
  for (const socket of opened) socket.destroy()
  return count - again.filter(({ status }) => status === 'fulfilled').length
}

/** Takes so many MiB as one who is slow: a piece, a pause. `look` is called now and then. */
export async function receiveSlowly(port, mib, look) {
  const socket = connect(port, HOST)
  socket.write(headOf(GIVE, mib * MIB))
  let come = 0
  let seen = 0
  for await (const chunk of socket) {
    come += chunk.length
    if (come - seen < 4 * MIB) continue
    seen = come
    await look()
    await sleep(20)
  }
  if (come !== mib * MIB) throw new Error(`${come} bytes came of ${mib} MiB`)
}

/** Tries until it leads somewhere. */
export async function firstByte(port, end) {
  for (;;) {
    const there = await openOne(port).then(
      () => true,
      () => false,
    )
    if (there) return
    if (performance.now() > end) throw new Error('the forward never carried anything')
    await sleep(5)
  }
}

async function receiveOne(port, size) {
  let come = 0
  const callback = length => {
    come += length
    return true
  }
  const socket = connect({ port, host: HOST, onread: { buffer: memory, callback } })
  socket.write(headOf(GIVE, size))
  await once(socket, 'end')
  socket.destroy()
  if (come !== size) throw new Error(`${come} of ${size} bytes came`)
}

async function sendOne(port, size) {
  const socket = connect(port, HOST)
  const answer = once(socket, 'data')
  socket.write(headOf(TAKE, size))
  await give(socket, size)
  await answer
  socket.destroy()
}

async function openOne(port) {
  const socket = await open(port)
  socket.destroy()
}

async function open(port) {
  const socket = connect({ port, host: HOST, noDelay: true })
  socket.write(headOf(ECHO, 0))
  await answer(socket)
  return socket
}

async function echo(socket) {
  socket.write('again')
  await answer(socket)
}

/** A connection that is closed in place of an answer has failed; it may say so by an end. */
async function answer(socket) {
  const gone = new AbortController()
  const closed = () => gone.abort()
  socket.once('end', closed)
  try {
    await once(socket, 'data', { signal: gone.signal })
  } catch (error) {
    socket.destroy()
    throw error
  } finally {
    socket.off('end', closed)
  }
}

function all(count, work) {
  return Promise.all(Array.from({ length: count }, work))
}

async function timed(mib, work) {
  const began = performance.now()
  await work()
  return (mib / (performance.now() - began)) * 1e3
}
