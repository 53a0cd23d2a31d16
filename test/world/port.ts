import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

/** A port of 127.0.0.1 that nobody listens on now. Another program may take it before it is used: try again then. */
export async function findFreePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  if (address === null || typeof address === 'string') throw new Error('the listener has no port')
  return address.port
}

/** Waits until somebody accepts connections on the port. Throws when the time is over. */
export async function waitForPort(port: number, timeoutMs = 10_000, address = '127.0.0.1'): Promise<void> {
  const end = Date.now() + timeoutMs
  while (Date.now() < end) {
    if (await accepts(port, address)) return
    await sleep(50)
  }
  throw new Error(`nobody listens on port ${port} after ${timeoutMs} ms`)
}

async function accepts(port: number, address: string): Promise<boolean> {
  const socket = connect(port, address)
  try {
    await once(socket, 'connect')
    return true
  } catch {
    return false
  } finally {
    socket.destroy()
  }
}
