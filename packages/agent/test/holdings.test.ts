import { createServer } from 'node:net'
import { join } from 'node:path'
import { createRing, type Limits, MAX_MESSAGE, serve } from '../src/index.js'
import { Holdings } from '../src/server/holdings.js'
import { LIST, later, listenAt, makeTemporary, RawClient, u32 } from './support.js'

const IDENTITIES = 12

class Held {
  held = 0
  isCut = false
  destroy() {
    this.isCut = true
  }
}

function makeHolders(count: number): {
  holdings: Holdings
  hold: (index: number, bytes: number) => void
  cut: () => number[]
} {
  const holdings = new Holdings(1000, 100)
  const holders = Array.from({ length: count }, () => new Held())
  return {
    holdings,
    hold(index, bytes) {
      const holder = holders[index]
      if (!holder) throw new Error('nobody')
      holder.held = bytes
      holdings.look(holder)
    },
    cut: () => holders.flatMap(({ isCut }, index) => (isCut ? [index] : [])),
  }
}

describe('what is held', () => {
  test('too much: who has held much for longest is cut off, as few as will do', () => {
    const { hold, cut } = makeHolders(4)
    for (const [index, bytes] of [
      [1, 300],
      [0, 300],
      [2, 400],
    ] as const)
      hold(index, bytes)
    expect(cut()).toEqual([])
    // More of it is still the same.
    hold(0, 301)
    expect(cut()).toEqual([1])
    hold(3, 400)
    expect(cut()).toEqual([0, 1])
  })

  test('who holds little is never cut off, and neither is who has let go of it meanwhile', () => {
    const { hold, cut } = makeHolders(25)
    for (let index = 5; index < 25; index++) hold(index, 100)
    hold(0, 900)
    hold(0, 10)
    hold(1, 900)
    expect(cut()).toEqual([])
    hold(0, 900)
    expect(cut()).toEqual([1])
  })

  test('what is known of a holder may be old: it is looked at again before anybody is cut off', () => {
    const { holdings, hold, cut } = makeHolders(2)
    const reader = new Held()
    reader.held = 900
    holdings.look(reader)
    reader.held = 0
    hold(1, 900)
    expect([reader.isCut, cut()]).toEqual([false, []])
  })

  test('one that alone is too much is cut off, and then it is as before', () => {
    const { hold, cut } = makeHolders(2)
    hold(0, 1001)
    expect(cut()).toEqual([0])
    hold(1, 1000)
    expect(cut()).toEqual([0])
  })
})

async function makeWorld(limits: Partial<Limits>): Promise<() => Promise<RawClient>> {
  const path = join(await makeTemporary(), 's')
  const server = createServer({ allowHalfOpen: true })
  const service = serve(createRing(), server, limits)
  await listenAt(server, path)
  later(() => {
    service.close()
    return new Promise(resolve => server.close(resolve))
  })
  return () => RawClient.connect(path)
}

test('half messages: the oldest make room, the others go on, and who sends little is let be', async () => {
  const connect = await makeWorld({ held: 1024 * 1024 })
  const small = await connect()
  small.send(LIST.subarray(0, 4))
  const large = Buffer.concat([u32(MAX_MESSAGE), Buffer.alloc(MAX_MESSAGE, 200)])
  const clients: RawClient[] = []
  for (let i = 0; i < 12; i++) {
    const client = await connect()
    clients.push(client)
    client.send(LIST, large.subarray(0, -1))
    // By its answer it has been read, and by the next one what is behind it, as far as it is there.
    expect((await client.reply())?.[0]).toBe(IDENTITIES)
  }
  await Promise.all(clients.slice(0, 8).map(client => client.untilClosed()))
  const last = clients.at(-1)
  last?.send(Buffer.of(200))
  expect((await last?.reply())?.[0]).toBe(5)
  small.send(LIST.subarray(4))
  expect((await small.reply())?.[0]).toBe(IDENTITIES)
})
