import { randomInt } from 'node:crypto'
import { createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { jest } from '@jest/globals'
import { generate, PrivateKey } from '@keytool/keygen'
import { type Agent, createLock, createRing, decodeMessage, LIMITS, MAX_MESSAGE, replies } from '../src/index.js'
import { trimMemory } from '../src/platform/collect.js'
import { serveConnection, share } from '../src/server/server.js'
import {
  cutAtRandom,
  cutShort,
  isReply,
  makeRandom,
  type Sample,
  sampleRequests,
  spoilAtRandom,
  spoilFrame,
  spoilLengths,
  withLength,
} from './fuzz-support.js'
import { LIST, later, listenAt, makeTemporary, RawClient, signRequest } from './support.js'

// Whatever comes in, each message has its one answer, in its place; nobody else notices, and nothing stays. (That no
// rejection goes unhandled is jest's to watch: it fails the test in which one does.)

jest.setTimeout(240_000)

const IDENTITIES = 12
const SIGNATURE = 14
/** How many spoilt messages stand between two requests whose answers are known. */
const APART = 8
/** A message's place in the budget, beside its bytes. */
const OVERHEAD = 1024

let held: PrivateKey
let samples: readonly Sample[]

beforeAll(async () => {
  held = await generate('ed25519', { comment: 'held' })
  samples = await sampleRequests(held)
})

interface World {
  /** How many connections are open. */
  readonly open: () => number
  readonly budget: ReturnType<typeof share>['budget']
  connect(): Promise<RawClient>
}

async function makeWorld(): Promise<World> {
  const path = join(await makeTemporary(), 's')
  const ring = createRing({ lock: createLock({ sleep: async () => undefined }) })
  // A copy: the ring wipes what it is given.
  await ring.add(await PrivateKey.fromViews(held.algorithm, held.parts, held.comment))
  const agent = replace(ring, { forClient: client => replace(ring.forClient?.(client) ?? ring, harmless) })
  const shared = share(LIMITS)
  const sockets = new Set<Socket>()
  const server = createServer({ allowHalfOpen: true }, socket => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    serveConnection(agent, socket, LIMITS, shared)
  })
  await listenAt(server, path)
  later(() => {
    for (const socket of sockets) socket.destroy()
    return new Promise(resolve => server.close(resolve))
  })
  return { open: () => sockets.size, budget: shared.budget, connect: () => RawClient.connect(path) }
}

/** What would take the known answers away, or take long: other tests have these. They are read, and that is all. */
const harmless: Partial<Agent> = {
  lock: async () => undefined,
  unlock: async () => undefined,
  removeAll: async () => undefined,
  remove: async () => undefined,
  unseal: async () => undefined,
}

/** An agent of which some methods are ours. */
function replace(agent: Agent, methods: Partial<Agent>): Agent {
  return new Proxy(agent, {
    get(target, name) {
      const value: unknown = Reflect.get(name in methods ? methods : target, name)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
}

/** What a request whose answer is known asks to be signed. */
const known = (index: number) => `known ${index}`

/**
 * Sends messages with requests among them whose answers are known, all in pieces of any size, and reads the answers: one
 * for each message, the known ones in their places.
 */
async function exchange(client: RawClient, bodies: readonly Buffer[], random: (below: number) => number) {
  const frames = bodies.flatMap((body, i) =>
    i % APART === 0 ? [signRequest(held, known(i)), withLength(body)] : [withLength(body)],
  )
  const stream = Buffer.concat([...frames, signRequest(held, known(bodies.length))])
  const longest = stream.length < 1_000_000 && random(2) ? 100 : 100_000
  for (const piece of cutAtRandom(stream, longest, random)) {
    client.send(piece)
    // Only so does the kernel not put them together again.
    if (piece.length > 1000 || random(50) === 0) await new Promise(setImmediate)
  }
  for (let i = 0; i < bodies.length; i++) {
    if (i % APART === 0) await expectSigned(client, known(i))
    const number = (await client.reply())?.[0]
    if (!isReply(number)) throw new Error(`message ${bodies[i]?.toString('hex')} was answered with ${number}`)
  }
  await expectSigned(client, known(bodies.length))
}

async function expectSigned(client: RawClient, data: string): Promise<void> {
  const body = (await client.reply()) ?? Buffer.alloc(0)
  expect([data, body[0]]).toEqual([data, SIGNATURE])
  const { signature } = decodeMessage(replies.signature, body)
  expect(await held.publicKey.verify(Buffer.from(data), signature)).toBe(true)
}

/** Everybody who is gone is forgotten, nothing is under way, and the next client is served. */
async function expectAsBefore({ open, budget, connect }: World): Promise<void> {
  await until(() => open() === 0)
  await until(() => budget.allows(LIMITS.bytes - OVERHEAD))
  const client = await connect()
  client.send(signRequest(held, 'afterwards'), LIST)
  await expectSigned(client, 'afterwards')
  expect((await client.reply())?.[0]).toBe(IDENTITIES)
  client.socket.destroy()
  await until(() => open() === 0)
}

async function until(condition: () => boolean): Promise<void> {
  for (let i = 0; i < 2000 && !condition(); i++) await new Promise(resolve => setTimeout(resolve, 5))
  expect(condition()).toBe(true)
}

/** On one connection, which is closed afterwards. */
async function exchangeOnce(world: World, bodies: readonly Buffer[], random = makeRandom(1)): Promise<void> {
  const client = await world.connect()
  await exchange(client, bodies, random)
  client.socket.destroy()
  await expectAsBefore(world)
}

test('every message as it should be has its answer', async () => {
  await exchangeOnce(
    await makeWorld(),
    samples.map(({ body }) => body),
  )
})

test('every message, cut short at every byte', async () => {
  await exchangeOnce(await makeWorld(), samples.flatMap(cutShort))
})

test('every message, with every length in it wrong', async () => {
  await exchangeOnce(await makeWorld(), samples.flatMap(spoilLengths))
})

test('every message, with bytes behind it', async () => {
  const tails = [1, 4, 300].map(size => Buffer.alloc(size, 1))
  await exchangeOnce(
    await makeWorld(),
    samples.flatMap(({ body }) => tails.map(tail => Buffer.concat([body, tail]))),
  )
})

test('every number there is, with nothing, and with as much as a message may hold', async () => {
  const random = makeRandom(3)
  const noise = Buffer.from(Array.from({ length: MAX_MESSAGE - 1 }, () => random(256)))
  const numbers = Array.from({ length: 256 }, (_, number) => Buffer.of(number))
  await exchangeOnce(await makeWorld(), [...numbers, ...numbers.map(number => Buffer.concat([number, noise]))])
})

test('every frame that breaks off, at every byte: the connection ends, and no other', async () => {
  const world = await makeWorld()
  const frames = samples.map(({ body }) => withLength(body))
  for (const frame of frames) {
    await inTurns(frame.length - 1, async i => {
      const client = await world.connect()
      client.socket.end(frame.subarray(0, i + 1))
      expect(await client.reply()).toBe(undefined)
    })
  }
  await expectAsBefore(world)
})

test('every frame whose own length is wrong: the connection ends, and no other', async () => {
  const world = await makeWorld()
  const other = await world.connect()
  const frames = samples.flatMap(spoilFrame)
  await inTurns(frames.length, async i => {
    const client = await world.connect()
    client.socket.end(frames[i] ?? Buffer.alloc(0))
    await client.untilClosed()
  })
  other.send(signRequest(held, 'other'))
  await expectSigned(other, 'other')
  other.socket.destroy()
  await expectAsBefore(world)
})

/** A few at a time. */
async function inTurns(count: number, work: (index: number) => Promise<void>): Promise<void> {
  let next = 0
  const worker = async () => {
    while (next < count) await work(next++)
  }
  await Promise.all(Array.from({ length: 32 }, worker))
}

test.each([1, 20_261, 0xdeadbeef, randomInt(2 ** 32)])(
  'ten thousand messages spoilt at random, by several clients at once: seed %d',
  async seed => {
    const world = await makeWorld()
    await Promise.all(
      Array.from({ length: 5 }, async (_, number) => {
        const random = makeRandom(seed + number)
        const client = await world.connect()
        await exchange(
          client,
          Array.from({ length: 2000 }, () => spoilAtRandom(samples, random)),
          random,
        )
        client.socket.destroy()
      }),
    )
    await expectAsBefore(world)
  },
)

test('clients that are gone in the middle of it leave nothing behind', async () => {
  const world = await makeWorld()
  const random = makeRandom(11)
  await inTurns(400, async () => {
    const client = await world.connect()
    const frames = Array.from({ length: 40 }, () => withLength(spoilAtRandom(samples, random)))
    const stream = Buffer.concat(frames)
    client.send(LIST, stream.subarray(0, random(stream.length)))
    if (random(2)) await client.reply()
    client.socket.destroy()
  })
  await expectAsBefore(world)
})

test('rounds of it do not add up in memory', async () => {
  const world = await makeWorld()
  const sizes: number[] = []
  for (let round = 0; round < 6; round++) {
    const random = makeRandom(round)
    await exchangeOnce(
      world,
      Array.from({ length: 1500 }, () => spoilAtRandom(samples, random)),
      random,
    )
    await trimMemory()
    const { heapUsed, arrayBuffers } = process.memoryUsage()
    sizes.push(heapUsed + arrayBuffers)
  }
  // What one round leaves would be there five times: a message of each round alone is 1.5 MB and more.
  const [, second = 0] = sizes
  expect((sizes.at(-1) ?? 0) - second).toBeLessThan(8 * 1024 * 1024)
})
