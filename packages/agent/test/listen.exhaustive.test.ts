import { readdir } from 'node:fs/promises'
import { createServer, type Server, type Socket } from 'node:net'
import { join } from 'node:path'
import { type Listener, type ListenOptions, listen } from '../src/index.js'
import { frame, later, leaveStaleSocket, makeTemporary, RawClient } from './support.js'

const OURS = frame(6, Buffer.from('ours'))

function sayOurs(socket: Socket): void {
  // Whoever only looks whether somebody is there does not wait for the answer.
  socket.on('error', () => undefined)
  socket.end(OURS)
}

/** Listens, and closes after the test. */
async function open(path: string, options: ListenOptions = {}): Promise<{ listener: Listener; server: Server }> {
  const server = createServer(sayOurs)
  const listener = await listen(server, path, options)
  later(() => listener.close())
  return { listener, server }
}

async function expectServed(path: string): Promise<void> {
  const client = await RawClient.connect(path)
  await client.untilClosed()
  expect(await client.reply()).toEqual(OURS.subarray(4))
}

test.each([false, true])(
  'of many that start at the same instant exactly one listens (stale socket: %s)',
  async stale => {
    for (let round = 0; round < 5; round++) {
      const folder = await makeTemporary()
      const path = join(folder, 's')
      if (stale) await leaveStaleSocket(path)
      let announced = 0
      const announce = async () => void announced++
      const starts = await Promise.allSettled(Array.from({ length: 12 }, () => open(path, { announce })))
      const failures = starts.flatMap(start => (start.status === 'rejected' ? [start.reason] : []))
      expect(failures).toHaveLength(11)
      expect(failures.map(({ code }) => code)).toEqual(new Array(11).fill('exists'))
      expect(announced).toBe(1)
      await expectServed(path)
      expect(await readdir(folder)).toEqual(['s'])
    }
  },
)
