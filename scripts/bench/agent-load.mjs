// The load generator, a process of its own: so many clients, each with one request under way. Its own share of a core is
// reported: near 100 %, it and not the agent would be what is measured. That is why it makes its frames beforehand and
// reads every answer into the same memory.
import { once } from 'node:events'
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { encode } from './agent-frames.mjs'

/** Length and number of an answer. */
const HEAD_BYTES = 5
/** How long those behind a measured request are at work before the first one, in milliseconds. */
const LEAD_MS = 100

const memory = Buffer.allocUnsafeSlow(256 * 1024)

process.on('message', async order => {
  try {
    process.send(await (order.behind ? timeRequests(order) : countRequests(order)))
  } catch (error) {
    process.send({ error: String(error.message) })
  }
})

/** @returns requests answered a second, and the share of one core that asking took */
async function countRequests({ socket, request, clients, ms }) {
  const open = await connectAll(socket, request, clients)
  const cpu = process.cpuUsage()
  const began = performance.now()
  const counts = await Promise.all(open.map(client => client.keepAsking(began + ms)))
  const took = (performance.now() - began) / 1e3
  const { user, system } = process.cpuUsage(cpu)
  for (const client of open) client.close()
  return { perSecond: counts.reduce((sum, count) => sum + count, 0) / took, share: (user + system) / 1e6 / took }
}

/**
 * What somebody waits for who asks now and then, while the clients `behind` keep the agent busy.
 * @returns milliseconds that each request took
 */
async function timeRequests({ socket, request, behind, pause, ms }) {
  const busy = await connectAll(socket, behind.request, behind.clients)
  const [client] = await connectAll(socket, request, 1)
  const end = performance.now() + LEAD_MS + ms
  const others = Promise.all(busy.map(each => each.keepAsking(end)))
  const times = []
  const measured = (async () => {
    await sleep(LEAD_MS)
    while (performance.now() < end) {
      const began = performance.now()
      await client.ask()
      times.push(performance.now() - began)
      await sleep(pause)
    }
  })()
  await Promise.all([others, measured])
  for (const each of [client, ...busy]) each.close()
  return { times }
}

function connectAll(path, request, clients) {
  return Promise.all(Array.from({ length: clients }, () => connectClient(path, request)))
}

async function connectClient(path, request) {
  const { frame, free } = encode(request)
  const head = Buffer.alloc(HEAD_BYTES)
  let got = 0
  let asked = 0
  let answered = () => {}
  let failed = () => {}

  const read = length => {
    if (got < HEAD_BYTES) memory.copy(head, got, 0, Math.min(length, HEAD_BYTES - got))
    got += length
    if (got < HEAD_BYTES || got < 4 + head.readUInt32BE(0)) return true
    got = 0
    // A refusal ends it: a fast no is no performance.
    if (head[4] === request.number + 1) answered()
    else failed(new Error(`the agent answered with ${head[4]}`))
    return true
  }
  const socket = connect({ path, onread: { buffer: memory, callback: read } })
  await once(socket, 'connect')
  socket.on('error', error => failed(error))
  socket.on('close', () => failed(new Error('the agent closed the connection')))

  const send = () => {
    // Each time another session: no agent is to answer from memory.
    if (free !== undefined) frame.writeUInt32BE(asked++ >>> 0, free)
    socket.write(frame)
  }
  return {
    /** Asks once, and waits for the answer. */
    ask: () =>
      new Promise((resolve, reject) => {
        answered = resolve
        failed = reject
        send()
      }),

    /** Asks one thing after the other until `end`. @returns how often it was answered */
    keepAsking: end =>
      new Promise((resolve, reject) => {
        let count = 0
        failed = reject
        answered = () => {
          count++
          if (performance.now() < end) send()
          else resolve(count)
        }
        send()
      }),

    close() {
      failed = () => {}
      socket.destroy()
    },
  }
}
