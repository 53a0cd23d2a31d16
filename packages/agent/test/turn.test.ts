import { createServer } from 'node:net'
import { join } from 'node:path'
import { generate } from '@keytool/keygen'
import { type Agent, createRing, type Service, serve } from '../src/index.js'
import { LIST, later, listenAt, makeTemporary, RawClient, signRequest, until } from './support.js'

// Requests that stop the event loop: the others have their turn, and nothing of the connection's own is forgotten.

const IDENTITIES = 12
const SIGNATURE = 14
/** Longer than a turn. In milliseconds. */
const SLOW = 5

interface World {
  readonly service: Service
  /** What was begun, in order. */
  readonly seen: string[]
  /** Lets signatures go that wait. */
  go(): void
  connect(): Promise<RawClient>
  readonly sign: Buffer
}

async function makeWorld(): Promise<World> {
  const path = join(await makeTemporary(), 's')
  const key = await generate('ed25519')
  const sign = signRequest(key)
  const ring = createRing()
  await ring.add(key)
  const seen: string[] = []
  const waiting: (() => void)[] = []
  const server = createServer({ allowHalfOpen: true })
  let clients = 0
  const forClient = (): Agent => {
    const name = `client ${clients++}`
    const own: Pick<Agent, 'list' | 'sign'> = {
      list() {
        seen.push(`${name} lists`)
        return ring.list()
      },
      async sign(...args) {
        seen.push(`${name} signs`)
        for (const end = performance.now() + SLOW; performance.now() < end; );
        await new Promise<void>(resolve => waiting.push(resolve))
        return ring.sign(...args)
      },
    }
    return new Proxy<Agent>(ring, { get: (target, method) => Reflect.get(method in own ? own : target, method) })
  }
  const agent = new Proxy<Agent>(ring, {
    get: (target, method) => (method === 'forClient' ? forClient : Reflect.get(target, method)),
  })
  const service = serve(agent, server)
  await listenAt(server, path)
  later(() => {
    service.close()
    return new Promise(resolve => server.close(resolve))
  })
  return {
    service,
    seen,
    go: () => {
      for (const go of waiting.splice(0)) go()
    },
    connect: () => RawClient.connect(path),
    sign,
  }
}

test('what comes behind a slow request is begun, before that is answered', async () => {
  const { seen, go, connect, sign } = await makeWorld()
  const client = await connect()
  client.send(sign, LIST, sign)
  await until(() => seen.length === 3)
  client.send(LIST)
  await until(() => seen.length === 4)
  expect(seen).toEqual(['client 0 signs', 'client 0 lists', 'client 0 signs', 'client 0 lists'])
  go()
  expect(await client.numbers(4)).toEqual([SIGNATURE, IDENTITIES, SIGNATURE, IDENTITIES])
})

test('another is served between the slow requests of one chunk', async () => {
  const { seen, go, connect, sign } = await makeWorld()
  const [busy, other] = [await connect(), await connect()]
  busy.send(...Array.from({ length: 20 }, () => sign))
  await until(() => seen.length > 0)
  other.send(LIST)
  expect((await other.reply())?.[0]).toBe(IDENTITIES)
  await until(() => seen.length === 21)
  // All of one chunk in one turn would have left it for the end.
  expect(seen.indexOf('client 1 lists')).toBeLessThan(20)
  go()
  expect(await busy.numbers(20)).toEqual(new Array(20).fill(SIGNATURE))
})

test('a client that is not read from any more, and goes, is known to be gone', async () => {
  const { service, seen, go, connect, sign } = await makeWorld()
  const client = await connect()
  // As many as may be without an answer, and more than is read ahead.
  client.send(...Array.from({ length: 64 + 5000 }, () => sign))
  await until(() => seen.length === 64)
  client.socket.destroy()
  await until(() => service.size === 0)
  go()
})
