// What the forwards lead to, a process of its own: it gives, takes, or says again what it is told.
import { once } from 'node:events'
import { createServer } from 'node:net'

/** What a connection is for, by its first byte; how many bytes, in the 4 that follow. */
export const GIVE = 1
export const TAKE = 2
export const ECHO = 3
export const HEAD_BYTES = 5

const block = Buffer.alloc(256 * 1024, 7)

function serve(socket) {
  socket.on('error', () => socket.destroy())
  socket.once('data', head => {
    const size = head.readUInt32BE(1)
    if (head[0] === GIVE) return void give(socket, size)
    if (head[0] === ECHO) {
      socket.write(head)
      return void socket.pipe(socket)
    }
    let come = head.length - HEAD_BYTES
    socket.on('data', chunk => {
      come += chunk.length
      if (come === size) socket.end('.')
    })
  })
}

/** Pours so many bytes, and ends. */
export async function give(socket, size) {
  for (let sent = 0; sent < size; sent += block.length) {
    if (!socket.write(block.subarray(0, size - sent))) await once(socket, 'drain')
  }
  socket.end()
}

/** What asks for it: the kind, and how many bytes. */
export function headOf(kind, size) {
  const head = Buffer.alloc(HEAD_BYTES)
  head.writeUInt8(kind)
  head.writeUInt32BE(size, 1)
  return head
}

if (process.send) {
  const server = createServer({ allowHalfOpen: true, noDelay: true }, serve)
  server.listen({ port: 0, host: '127.0.0.1', backlog: 1024 }, () => process.send(server.address().port))
  process.once('disconnect', () => process.exit())
}
