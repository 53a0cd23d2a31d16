import { Socket } from 'node:net'
import { jest } from '@jest/globals'
import { decodeSignature, generate, PublicKey } from '@keytool/keygen'
import {
  type Agent,
  createLock,
  createRing,
  decodeMessage,
  MAX_MESSAGE,
  replies,
  requests,
  serveConnection,
} from '../src/index.js'
import { makeRing, makeWorld, until } from './server-support.js'
import { addRequest, ask, frame, LIST, type RawClient, signRequest, string, u32 } from './support.js'

// RSA keys are made and floods worked off: on a busy machine that takes longer than jest's five seconds.
jest.setTimeout(120_000)

const FAILURE = 5
const SUCCESS = 6
const IDENTITIES = 12
const SIGNATURE = 14

/** A ring's agent of which some methods are ours. */
function override(ring: Agent, methods: Partial<Agent>): Agent {
  return {
    list: () => ring.list(),
    sign: (...args) => ring.sign(...args),
    add: key => ring.add(key),
    remove: blob => ring.remove(blob),
    removeAll: () => ring.removeAll(),
    lock: passphrase => ring.lock(passphrase),
    unlock: passphrase => ring.unlock(passphrase),
    ...methods,
  }
}

/** An agent whose every signature waits until it is let go. */
function makeSlowAgent(): { agent: Agent; started: () => number; go: () => void } {
  const ring = createRing()
  const waiting: (() => void)[] = []
  let started = 0
  const agent = override(ring, {
    async sign(blob: Buffer, data: Buffer, flags: number) {
      started++
      await new Promise<void>(resolve => waiting.push(resolve))
      return ring.sign(blob, data, flags)
    },
  })
  return {
    agent,
    started: () => started,
    go: () => {
      for (const go of waiting.splice(0)) go()
    },
  }
}

test.each(['ed25519', 'ecdsa-256', 'ecdsa-384', 'ecdsa-521', 'rsa'])(
  '%s: added, listed, signs, removed',
  async type => {
    const { connect } = await makeWorld()
    const client = await connect()
    const key = await generate(type, type === 'rsa' ? { bits: 2048, comment: 'mine' } : { comment: 'mine' })
    client.send(addRequest(key), LIST, signRequest(key, 'data', 4))
    expect((await client.reply())?.[0]).toBe(SUCCESS)
    const { identities } = decodeMessage(replies.identities, (await client.reply()) ?? Buffer.alloc(0))
    expect(identities).toEqual([{ blob: key.publicKey.blob, comment: 'mine' }])
    const { signature } = decodeMessage(replies.signature, (await client.reply()) ?? Buffer.alloc(0))
    expect(await key.publicKey.verify(Buffer.from('data'), signature)).toBe(true)
    client.send(ask('remove', { key: key.publicKey.blob }), ask('remove', { key: key.publicKey.blob }), LIST)
    expect(await client.numbers(3)).toEqual([SUCCESS, FAILURE, IDENTITIES])
  },
)

test('every number that is not served is FAILURE, its body consumed, and the connection goes on', async () => {
  const { connect } = await makeWorld()
  const client = await connect()
  const served = ['list', 'sign', 'add', 'remove', 'removeAll', 'oldRemoveAll', 'lock', 'unlock'] as const
  const numbers = new Set<number>(served.map(name => requests[name].number))
  const others = Array.from({ length: 256 }, (_, number) => number).filter(number => !numbers.has(number))
  for (const number of others) {
    client.send(frame(number, Buffer.alloc(number * 3, number)), LIST)
    expect([number, ...(await client.numbers(2))]).toEqual([number, FAILURE, IDENTITIES])
  }
})

test('an extension that is known and fails: EXTENSION_FAILURE; one that is not: FAILURE', async () => {
  const { connect } = await makeWorld()
  const client = await connect()
  const bind = Buffer.concat([string('hostkey'), string('session'), string('signature'), Buffer.of(0)])
  client.send(
    ask('extension', { name: 'session-bind@openssh.com', body: bind }),
    frame(27, string('query')),
    frame(27, string('query'), Buffer.of(0)),
    frame(27, string('unheard-of@example.com')),
    frame(27),
  )
  expect(await client.numbers(5)).toEqual([28, 29, 28, FAILURE, FAILURE])
})

test('malformed and truncated bodies are FAILURE, and the connection goes on', async () => {
  const { connect } = await makeWorld()
  const client = await connect()
  const key = await generate('ed25519')
  const add = addRequest(key).subarray(5)
  const sign = signRequest(key).subarray(5)
  const bad = [
    frame(11, Buffer.of(0)),
    ...Array.from({ length: sign.length - 1 }, (_, i) => frame(13, sign.subarray(0, i))),
    ...Array.from({ length: add.length - 1 }, (_, i) => frame(17, add.subarray(0, i))),
    frame(17, add, Buffer.of(2)),
    frame(17, string('ssh-unheard-of'), add),
    frame(17, string(Buffer.of(0xff, 0xfe))),
    frame(18),
    frame(18, u32(0xffffffff)),
    frame(22),
    frame(22, string('')),
    frame(23, string('not locked')),
  ]
  for (const each of bad) {
    client.send(each)
    expect([each.toString('hex'), (await client.reply())?.[0]]).toEqual([each.toString('hex'), FAILURE])
  }
  client.send(LIST)
  expect(decodeMessage(replies.identities, (await client.reply()) ?? Buffer.alloc(0))).toEqual({ identities: [] })
})

test('a private key that contradicts its public half is not taken', async () => {
  const { connect } = await makeWorld()
  const client = await connect()
  const [one, two] = [await generate('ed25519'), await generate('ed25519')]
  const mixed = { ...one.parts, seed: two.parts['seed'] ?? Buffer.alloc(0) }
  client.send(ask('add', { key: { algorithm: one.algorithm, parts: mixed }, comment: '' }), LIST)
  expect(await client.numbers(2)).toEqual([FAILURE, IDENTITIES])
})

test.each([0, MAX_MESSAGE + 1, 0xffffffff])(
  'a message of %d bytes closes the connection, and no other',
  async length => {
    const { connect } = await makeWorld()
    const [bad, good] = [await connect(), await connect()]
    bad.send(u32(length))
    await bad.untilClosed()
    good.send(LIST)
    expect((await good.reply())?.[0]).toBe(IDENTITIES)
  },
)

test('the largest message is answered', async () => {
  const { connect } = await makeWorld()
  const client = await connect()
  client.send(frame(200, Buffer.alloc(MAX_MESSAGE - 1)), LIST)
  expect(await client.numbers(2)).toEqual([FAILURE, IDENTITIES])
})

test('a peer that dies midway harms nobody', async () => {
  const { connect, service } = await makeWorld()
  const good = await connect()
  for (const size of [1, 3, 4, 5, 60]) {
    const client = await connect()
    client.send(addRequest(await generate('ed25519')).subarray(0, size))
    client.socket.destroySoon()
  }
  await until(() => service.size === 1)
  good.send(LIST)
  expect((await good.reply())?.[0]).toBe(IDENTITIES)
})

test('what node still hands over of a connection that has ended is cleared, and ends nothing else', () => {
  const socket = new Socket()
  serveConnection(makeRing(), socket)
  socket.destroy()
  const chunks = [LIST, LIST].map(each => Buffer.from(each))
  for (const chunk of chunks) socket.emit('data', chunk)
  expect(Buffer.concat(chunks).every(byte => byte === 0)).toBe(true)
})

test('answers keep the order of the requests, however slow one of them is', async () => {
  const { agent, go, started } = makeSlowAgent()
  const { connect } = await makeWorld({}, agent)
  const key = await generate('ed25519')
  const blob = key.publicKey.blob
  await agent.add(key)
  const [slow, other] = [await connect(), await connect()]
  slow.send(LIST, ask('sign', { key: blob, data: Buffer.from('1'), flags: 0 }), LIST, frame(99))
  slow.send(ask('sign', { key: blob, data: Buffer.from('2'), flags: 0 }), LIST)
  expect((await slow.reply())?.[0]).toBe(IDENTITIES)
  await until(() => started() === 2)
  // Somebody else is served meanwhile.
  other.send(LIST)
  expect((await other.reply())?.[0]).toBe(IDENTITIES)
  go()
  expect(await slow.numbers(5)).toEqual([SIGNATURE, IDENTITIES, FAILURE, SIGNATURE, IDENTITIES])
})

test('real RSA: signatures come back in order among quick answers, each over its own data', async () => {
  const { connect, agent } = await makeWorld()
  const [rsa, ed25519] = [await generate('rsa', { bits: 3072 }), await generate('ed25519')]
  const publicKeys = [rsa, ed25519].map(({ publicKey }) => PublicKey.fromBlob(publicKey.blob))
  const order = Array.from({ length: 24 }, (_, i) => i)
  const asked = order.map(i => signRequest(i % 2 ? ed25519 : rsa, `data ${i}`, 2))
  await agent.add(rsa)
  await agent.add(ed25519)
  const client = await connect()
  client.send(...asked)
  for (const i of order) {
    const body = (await client.reply()) ?? Buffer.alloc(0)
    const signature = decodeSignature(body.subarray(5))
    expect(await publicKeys[i % 2]?.verify(Buffer.from(`data ${i}`), signature)).toBe(true)
  }
})

test('what follows a lock or an unlock on its connection sees its effect', async () => {
  const { connect, agent } = await makeWorld()
  await agent.add(await generate('ed25519'))
  const client = await connect()
  const passphrase = Buffer.from('p')
  client.send(ask('lock', { passphrase }), LIST, ask('removeAll', {}), ask('unlock', { passphrase: Buffer.from('q') }))
  client.send(LIST, ask('unlock', { passphrase }), LIST)
  const seen: unknown[] = []
  for (let i = 0; i < 7; i++) {
    const body = (await client.reply()) ?? Buffer.alloc(0)
    seen.push(body[0] === IDENTITIES ? decodeMessage(replies.identities, body).identities.length : body[0] === SUCCESS)
  }
  expect(seen).toEqual([true, 0, false, false, 0, true, 1])
})

test('the delay after a wrong passphrase holds up nobody else', async () => {
  let wake: (() => void) | undefined
  const sleep = () =>
    new Promise<void>(resolve => {
      wake = resolve
    })
  const { connect } = await makeWorld({}, createRing({ lock: createLock({ sleep }) }))
  const [guesser, other] = [await connect(), await connect()]
  guesser.send(ask('lock', { passphrase: Buffer.from('p') }))
  expect((await guesser.reply())?.[0]).toBe(SUCCESS)
  guesser.send(ask('unlock', { passphrase: Buffer.from('q') }))
  other.send(LIST, LIST)
  expect(await other.numbers(2)).toEqual([IDENTITIES, IDENTITIES])
  await until(() => wake !== undefined)
  wake?.()
  expect((await guesser.reply())?.[0]).toBe(FAILURE)
})

test('a client that has said its last still gets what it is owed', async () => {
  const { agent, go, started } = makeSlowAgent()
  const { connect } = await makeWorld({}, agent)
  const key = await generate('ed25519')
  await agent.add(key)
  const client = await connect()
  client.socket.end(Buffer.concat([signRequest(key), LIST]))
  await until(() => started() === 1)
  await new Promise(resolve => setTimeout(resolve, 20))
  go()
  expect(await client.numbers(2)).toEqual([SIGNATURE, IDENTITIES])
  await client.untilClosed()
})

test('no more requests of one connection are under way than allowed; the rest follow', async () => {
  const { agent, go, started } = makeSlowAgent()
  const { connect } = await makeWorld({ pending: 5 }, agent)
  const key = await generate('ed25519')
  await agent.add(key)
  const request = signRequest(key)
  const client = await connect()
  client.send(...Array.from({ length: 23 }, () => request))
  for (const expected of [5, 10, 15, 20, 23]) {
    await until(() => started() === expected)
    await new Promise(resolve => setTimeout(resolve, 10))
    expect(started()).toBe(expected)
    go()
  }
  expect(await client.numbers(23)).toEqual(new Array(23).fill(SIGNATURE))
})

test('all connections share a budget of bytes, and each may have one request under way whatever the others do', async () => {
  const { agent, go, started } = makeSlowAgent()
  const { connect } = await makeWorld({ bytes: 300_000 }, agent)
  const key = await generate('ed25519')
  await agent.add(key)
  const large = signRequest(key, 'x'.repeat(100_000))
  const small = signRequest(key)
  const greedy = [await connect(), await connect(), await connect()]
  for (const client of greedy) client.send(...Array.from({ length: 10 }, () => large))
  // Two fit into the budget, and each connection has its one.
  await until(() => started() >= 3)
  await new Promise(resolve => setTimeout(resolve, 100))
  expect(started()).toBeLessThanOrEqual(4)
  const before = started()
  const late = await connect()
  late.send(small, LIST)
  await until(() => started() > before)
  const answers = [...greedy.map(client => client.numbers(10)), late.numbers(2)]
  let done = false
  void Promise.all(answers).then(() => {
    done = true
  })
  for (let round = 0; round < 4000 && !done; round++) {
    go()
    await new Promise(resolve => setTimeout(resolve, 5))
  }
  expect(await Promise.all(answers)).toEqual([
    ...greedy.map(() => new Array(10).fill(SIGNATURE)),
    [SIGNATURE, IDENTITIES],
  ])
})

test('a client that leaves gives its part of the budget back', async () => {
  const { agent, go, started } = makeSlowAgent()
  const { connect, service } = await makeWorld({ bytes: 250_000 }, agent)
  const key = await generate('ed25519')
  await agent.add(key)
  const large = signRequest(key, 'x'.repeat(100_000))
  const [greedy, other] = [await connect(), await connect()]
  greedy.send(large, large, large)
  await until(() => started() === 2)
  greedy.socket.destroy()
  go()
  // While nothing more is read from it, writing an answer is what shows that it is gone. One more may have begun.
  await until(() => service.size === 1)
  go()
  await new Promise(resolve => setTimeout(resolve, 20))
  const before = started()
  other.send(large, large)
  await until(() => started() === before + 2)
  go()
  expect(await other.numbers(2)).toEqual([SIGNATURE, SIGNATURE])
})

test('many requests in one chunk are worked on in batches, and the event loop turns in between', async () => {
  const ring = createRing()
  let started = 0
  let atFirstTurn: number | undefined
  const agent = override(ring, {
    list: () => {
      if (started++ === 0) {
        setImmediate(() => {
          atFirstTurn = started
        })
      }
      return ring.list()
    },
  })
  const { connect } = await makeWorld({ pending: 8 }, agent)
  const client = await connect()
  client.send(...Array.from({ length: 200 }, () => LIST))
  expect(await client.numbers(200)).toEqual(new Array(200).fill(IDENTITIES))
  expect(atFirstTurn).toBeLessThanOrEqual(16)
})

test('a peer that never reads is not read from either: memory stays flat, and others are served', async () => {
  let asked = 0
  const ring = createRing()
  const agent = override(ring, {
    list: () => {
      asked++
      return ring.list()
    },
  })
  await ring.add(await generate('ed25519', { comment: 'x'.repeat(100_000) }))
  const { connect } = await makeWorld({ output: 256 * 1024 }, agent)
  const [deaf, other] = [await connect(), await connect()]
  deaf.socket.pause()
  const many = Buffer.concat(Array.from({ length: 20_000 }, () => LIST))
  deaf.send(many)
  let before = -1
  while (before !== asked) {
    before = asked
    await new Promise(resolve => setTimeout(resolve, 100))
  }
  // 20,000 answers of 100 kB would be 2 GB; one batch may be under way when the limit is met.
  expect(asked).toBeLessThan(200)
  other.send(LIST)
  expect((await other.reply())?.[0]).toBe(IDENTITIES)
  // Reading again gets things going again.
  const stopped = asked
  deaf.socket.resume()
  expect((await deaf.reply())?.[0]).toBe(IDENTITIES)
  await until(() => asked > stopped + 100)
})

test('too many connections: those that are only in the way make room, the others stay', async () => {
  const { connect, service } = await makeWorld({ connections: 6 })
  const good = await connect()
  good.send(LIST)
  expect((await good.reply())?.[0]).toBe(IDENTITIES)
  const idle = await Promise.all(Array.from({ length: 5 }, connect))
  for (const client of idle) client.send(LIST.subarray(0, 3))
  await until(() => service.size === 6)
  const late = await connect()
  late.send(LIST)
  expect((await late.reply())?.[0]).toBe(IDENTITIES)
  await until(() => idle.filter(({ closed }) => closed).length === 1)
  good.send(LIST)
  expect((await good.reply())?.[0]).toBe(IDENTITIES)
  expect(service.size).toBe(6)
})

test('too many connections, most of one program: its oldest one makes room, and nobody else does', async () => {
  const pids = [1, 2, 2, 2, 3]
  const { connect, service } = await makeWorld({ connections: 4 }, makeRing(), () => ({
    pid: pids.shift() ?? 0,
    programs: [],
  }))
  const clients: RawClient[] = []
  for (let i = 0; i < 5; i++) {
    const client = await connect()
    clients.push(client)
    client.send(LIST)
    expect((await client.reply())?.[0]).toBe(IDENTITIES)
  }
  await until(() => clients[1]?.closed === true)
  expect(clients.map(({ closed }) => closed)).toEqual([false, true, false, false, false])
  expect(service.size).toBe(4)
})

test('too many connections, all of use: the new one is cut off', async () => {
  const { connect, service } = await makeWorld({ connections: 3 })
  const clients = await Promise.all(Array.from({ length: 3 }, connect))
  for (const client of clients) {
    client.send(LIST)
    expect((await client.reply())?.[0]).toBe(IDENTITIES)
  }
  const late = await connect()
  await late.untilClosed()
  for (const client of clients) {
    client.send(LIST)
    expect((await client.reply())?.[0]).toBe(IDENTITIES)
  }
  expect(service.size).toBe(3)
})
