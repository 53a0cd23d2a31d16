import { once } from 'node:events'
import { createServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

/** Nobody listens there but who holds the ports that `--mail` chooses: 1110 of 127.0.0.1, 1025 and the like. */
const PLACE = { host: '127.0.110.99', port: 1110 }
const PATIENCE_MS = 240_000

/** Waits until these ports are this process's alone among the tests. Returns what gives them up. */
export async function holdMailPorts(): Promise<() => Promise<void>> {
  for (const end = Date.now() + PATIENCE_MS; Date.now() < end; await sleep(100)) {
    const server = createServer().listen(PLACE)
    const isHeld = await Promise.race([
      once(server, 'listening').then(() => true),
      once(server, 'error').then(() => false),
    ])
    if (!isHeld) continue
    return async () => {
      server.close()
      await once(server, 'close')
    }
  }
  throw new Error('another test does not give up the ports that --mail chooses')
}
