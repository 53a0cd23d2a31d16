import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:net'
import type { Duplex } from 'node:stream'
import type { Connection } from '@keytool/tunnel'

const MiB = 1024 * 1024

/** A server on 127.0.0.1 that sends back what it is sent. */
export interface Echo {
  readonly port: number
  /** Sends so many random bytes there and back through the connection. Throws when other ones come back. */
  carry(connection: Pick<Connection, 'openDirect'>, size: number): Promise<void>
  close(): void
}

export async function startEcho(): Promise<Echo> {
  const server = createServer(socket => socket.on('error', () => {}).pipe(socket)).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  return {
    port,
    async carry(connection, size) {
      const stream = await connection.openDirect('127.0.0.1', port, { host: '127.0.0.1', port: 1 })
      const [sent, received] = await Promise.all([send(stream, size), hashOf(stream)])
      if (sent !== received) throw new Error('what came back is not what was sent')
    },
    close: () => void server.close(),
  }
}

async function send(stream: Duplex, size: number): Promise<string> {
  const hash = createHash('sha256')
  for (let left = size; left > 0; left -= MiB) {
    const block = randomBytes(Math.min(MiB, left))
    hash.update(block)
    if (!stream.write(block)) await once(stream, 'drain')
  }
  stream.end()
  return hash.digest('hex')
}

async function hashOf(stream: Duplex): Promise<string> {
  const hash = createHash('sha256')
  stream.on('data', chunk => hash.update(chunk))
  await once(stream, 'end')
  return hash.digest('hex')
}
