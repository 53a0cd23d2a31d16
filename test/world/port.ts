import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

/** Below what Linux gives out by itself, and a part for each of jest's workers: nobody else comes by one of these by chance. */
const FIRST = 10_240
const PART = 2048
const PARTS = 10

const first = FIRST + (Number(process.env['JEST_WORKER_ID'] ?? 0) % PARTS) * PART
let next = Math.floor(Math.random() * PART)

/**
 * A port of 127.0.0.1 that nobody listens on now, another one each time. A program that names its port itself may take it
 * before it is used: try again then.
 */
export async function findFreePort(): Promise<number> {
  for (let tries = 0; tries < PART; tries++) {
    const port = first + (next++ % PART)
    if (await isFree(port)) return port
  }
  throw new Error('all ports are taken')
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer()
  try {
    await once(server.listen(port, '127.0.0.1'), 'listening')
  } catch {
    return false
  }
  server.close()
  await once(server, 'close')
  return true
}

/** Waits until somebody accepts connections on the port. Throws when the time is over. */
export async function waitForPort(port: number, timeoutMs = 20_000, address = '127.0.0.1'): Promise<void> {
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
