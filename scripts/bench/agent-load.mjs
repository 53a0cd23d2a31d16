// The load generator, a process of its own: so many clients, each with one request under way. It speaks the protocol
// without our library, so that both agents are asked by the same few lines. Its own share of a core is reported: near
// 100 %, it and not the agent would be what is measured.
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { connect } from 'node:net'

const FAILURE = 5

process.on('message', async order => {
  try {
    process.send(await run(order))
  } catch (error) {
    process.send({ error: String(error.message) })
  }
})

/** @returns requests answered a second, and the share of one core that asking took */
async function run({ socket: path, request, clients, ms }) {
  const frame = encode(request)
  const sockets = await Promise.all(
    Array.from({ length: clients }, async () => {
      const socket = connect(path)
      await once(socket, 'connect')
      return socket
    }),
  )
  const cpu = process.cpuUsage()
  const began = process.hrtime.bigint()
  const end = began + BigInt(ms) * 1_000_000n
  const counts = await Promise.all(sockets.map(socket => ask(socket, frame, end)))
  const took = Number(process.hrtime.bigint() - began) / 1e9
  const { user, system } = process.cpuUsage(cpu)
  for (const socket of sockets) socket.destroy()
  return { perSecond: counts.reduce((sum, count) => sum + count, 0) / took, share: (user + system) / 1e6 / took }
}

/** Asks one thing after the other until the time is over. A refusal ends it: a fast no is no performance. */
function ask(socket, frame, end) {
  return new Promise((resolve, reject) => {
    let count = 0
    let held = Buffer.alloc(0)
    socket.on('data', chunk => {
      held = held.length === 0 ? chunk : Buffer.concat([held, chunk])
      if (held.length < 4 || held.length < 4 + held.readUInt32BE(0)) return
      if (held[4] === FAILURE) return reject(new Error('the agent refused'))
      held = held.subarray(4 + held.readUInt32BE(0))
      count++
      if (process.hrtime.bigint() < end) socket.write(frame)
      else resolve(count)
    })
    socket.on('error', reject)
    socket.on('close', () => reject(new Error('the agent closed the connection')))
    socket.write(frame)
  })
}

/** RFC 9987: uint32 length, byte number; for a signature the key, the data (as long as ssh's at login) and the flags. */
function encode({ number, key, flags }) {
  const parts = [Buffer.from([number])]
  if (key) parts.push(string(Buffer.from(key, 'base64')), string(randomBytes(200)), uint32(flags))
  return string(Buffer.concat(parts))
}

function string(bytes) {
  return Buffer.concat([uint32(bytes.length), bytes])
}

function uint32(value) {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}
