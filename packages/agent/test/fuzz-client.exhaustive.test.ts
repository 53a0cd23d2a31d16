import { randomInt } from 'node:crypto'
import { createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { jest } from '@jest/globals'
import { generate, isKeytoolError, PrivateKey } from '@keytool/keygen'
import { type AgentClient, connectAgent, encodeMessage, replies } from '../src/index.js'
import { type ExtensionName, type Extensions, extensions } from '../src/protocol/extensions.js'
import type { StatusReport } from '../src/reports.js'
import { SealedKey } from '../src/sealed.js'
import {
  cutAtRandom,
  cutShort,
  makeRandom,
  type Sample,
  sampleOf,
  sealedFile,
  spoilAtRandom,
  spoilFrame,
  spoilLengths,
  withLength,
} from './fuzz-support.js'
import { later, listenAt, makeTemporary } from './support.js'

// Whatever an agent answers, whoever asked has it or a KeytoolError, and in time.

jest.setTimeout(240_000)

/** What an answer may take. In milliseconds. */
const TIMEOUT = 200
/** What it takes at most until a client has given up, on a machine that is busy with other things. */
const PATIENCE = 20_000

/** A request, and the answer that it hopes for. */
interface Question {
  readonly answer: Sample
  /** What it does first takes a while, or it asks only once. */
  readonly asksLater?: true
  ask(client: AgentClient): Promise<unknown>
}

let key: PrivateKey
let questions: readonly Question[]

beforeAll(async () => {
  key = await generate('ed25519', { comment: 'key' })
  questions = await listQuestions()
})

async function listQuestions(): Promise<Question[]> {
  const { blob } = key.publicKey
  const data = Buffer.from('data')
  const success = sampleOf('success', encodeMessage(replies.success, {}))
  const copy = () => PrivateKey.fromViews(key.algorithm, key.parts, key.comment)
  const sealed = await SealedKey.read(await sealedFile(key))
  const bind = { hostKey: blob, sessionId: data, signature: data, forwarding: false }
  const identities = [{ blob, comment: 'key' }]
  const status: StatusReport = { locked: false, keys: { sealed: 0, open: 1 } }
  const report = { blob: blob.toString('base64'), state: 'open', origin: 'added', remembered: false, confirm: false }
  const rest = { lifetime: null, left: null, idle: null, destinations: [], file: null }
  return [
    { answer: sampleOf('list', encodeMessage(replies.identities, { identities })), ask: client => client.list() },
    { answer: sampleOf('signers', encodeMessage(replies.identities, { identities })), ask: client => client.signers() },
    {
      answer: sampleOf('sign', encodeMessage(replies.signature, { signature: await key.sign(data) })),
      ask: client => client.sign(blob, data, 0),
    },
    { answer: success, asksLater: true, ask: async client => client.add(await copy()) },
    { answer: success, asksLater: true, ask: async client => client.add(await copy(), { terms: { confirm: true } }) },
    { answer: success, ask: client => client.addSealed({ identity: sealed.identity, terms: {}, sealed }) },
    { answer: success, ask: client => client.remove(blob) },
    { answer: success, ask: client => client.removeAll() },
    { answer: success, ask: client => client.lock(data) },
    { answer: success, ask: client => client.unlock(data) },
    { answer: extended('unseal', { fits: true }), ask: client => client.unseal(blob, data) },
    { answer: success, ask: client => client.reencrypt(blob) },
    { answer: success, ask: client => client.bind(bind) },
    { answer: success, ask: client => client.extension('other@example.com', data) },
    { answer: extended('reencryptAll', { left: 3 }), ask: client => client.reencryptAll() },
    {
      answer: extended('query', { names: ['one@example.com', 'query'] }),
      asksLater: true,
      ask: client => client.supports('query'),
    },
    { answer: extended('status', { json: JSON.stringify(status) }), ask: client => client.status() },
    { answer: extended('list', { json: JSON.stringify([{ ...report, ...rest }]) }), ask: client => client.reports() },
    {
      answer: extended('listFor', { json: JSON.stringify([{ fingerprint: 'SHA256:x', comment: 'key', why: null }]) }),
      ask: client => client.orderFor([blob]),
    },
  ]
}

function extended<N extends ExtensionName>(name: N, value: Extensions[N]['response']): Sample {
  return sampleOf(name, encodeMessage(extensions[name].reply, value))
}

interface Fake {
  readonly path: string
  /** What is written on each new connection, once its first request is there; then the connection is as the fake was told. */
  script: (socket: Socket) => void
}

async function makeFake(): Promise<Fake> {
  const sockets = new Set<Socket>()
  const fake: { path: string; script: Fake['script'] } = {
    path: join(await makeTemporary(), 's'),
    script: () => undefined,
  }
  const server = createServer({ allowHalfOpen: true }, socket => {
    sockets.add(socket)
    socket.on('error', () => undefined)
    socket.on('close', () => sockets.delete(socket))
    fake.script(socket)
  })
  await listenAt(server, fake.path)
  later(() => {
    for (const socket of sockets) socket.destroy()
    return new Promise(resolve => server.close(resolve))
  })
  return fake
}

/** What came of it: `taken`, or the code of the KeytoolError. Anything else, and no end at all, fails the test. */
async function outcomeOf(asked: Promise<unknown>): Promise<string> {
  const { promise: late, stop } = delay()
  try {
    await Promise.race([asked, late])
    return 'taken'
  } catch (error) {
    if (isKeytoolError(error)) return error.code
    throw error
  } finally {
    stop()
  }
}

function delay(): { promise: Promise<never>; stop: () => void } {
  let timer: NodeJS.Timeout | undefined
  const promise = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`nothing came of it in ${PATIENCE} ms`)), PATIENCE)
  })
  return { promise, stop: () => clearTimeout(timer) }
}

/** Asks on fresh connections, one for each answer, some at a time. Returns the outcomes. */
async function askAll(cases: readonly { question: Question; bytes: Buffer; hangUp: boolean }[]): Promise<string[]> {
  const fake = await makeFake()
  const outcomes: string[] = []
  for (let start = 0; start < cases.length; start += 64) {
    const some = cases.slice(start, start + 64)
    const waiting = [...some]
    fake.script = socket => {
      const next = waiting.shift()
      socket.once('data', () => {
        if (!next) return
        if (next.hangUp) socket.end(next.bytes)
        else socket.write(next.bytes)
      })
    }
    const clients: AgentClient[] = []
    // One after the other: so they are accepted, and answered, in this order.
    for (const _ of some) clients.push(await connectAgent(fake.path, { timeout: TIMEOUT }))
    const asked = some.map(async ({ question }, i) => {
      const client = clients[i]
      return client ? outcomeOf(question.ask(client)) : 'none'
    })
    outcomes.push(...(await Promise.all(asked)))
    for (const client of clients) client.close()
  }
  return outcomes
}

/** Asks on one connection, one thing after the other, and each time is answered with one whole message. */
async function askInARow(cases: readonly { question: Question; body: Buffer }[]): Promise<string[]> {
  const fake = await makeFake()
  let answer: Buffer = Buffer.alloc(0)
  fake.script = socket => socket.on('data', () => socket.write(answer))
  const outcomes: string[] = []
  const client = await connectAgent(fake.path)
  for (const { question, body } of cases) {
    answer = withLength(body)
    outcomes.push(await outcomeOf(question.ask(client)))
  }
  client.close()
  return outcomes
}

function spoilt(spoil: (sample: Sample) => readonly Buffer[]): { question: Question; body: Buffer }[] {
  return questions.flatMap(question => spoil(question.answer).map(body => ({ question, body })))
}

test('every answer as it should be is taken', async () => {
  const outcomes = await askInARow(spoilt(({ body }) => [body]))
  expect(outcomes).toEqual(questions.map(() => 'taken'))
})

test('cut short at every byte, or with bytes behind it: damaged, and the connection goes on', async () => {
  const sides = spoilt(sample => [...cutShort(sample), Buffer.concat([sample.body, Buffer.of(0)])])
  const good = spoilt(({ body }) => [body])
  const outcomes = await askInARow([...sides, ...good])
  // What ends in a list of names is whole wherever a name ends, and who only asks whether there is one hears no.
  const isOpen = ({ question }: { question: Question }) => question.answer.name === 'query'
  const wrong = outcomes.slice(0, sides.length).filter((outcome, i) => {
    const each = sides[i]
    return each && !isOpen(each) && outcome !== 'damaged'
  })
  expect(wrong).toEqual([])
  expect(outcomes.slice(sides.length)).toEqual(good.map(() => 'taken'))
})

test('every length in it wrong: taken or damaged, never anything else but that a passphrase is wrong', async () => {
  const outcomes = await askInARow(spoilt(spoilLengths))
  expect([...new Set(outcomes)].filter(each => !['taken', 'damaged', 'secret-wrong'].includes(each))).toEqual([])
  expect(outcomes.filter(outcome => outcome === 'damaged').length).toBeGreaterThan(outcomes.length / 2)
})

test('every other number: damaged, or refused where it says no', async () => {
  const others = spoilt(({ body }) =>
    Array.from({ length: 256 }, (_, number) => Buffer.concat([Buffer.of(number), body.subarray(1)])),
  )
  const outcomes = await askInARow(others)
  const wrong = others.filter(({ question: { answer }, body }, i) => {
    if (answer.name === 'query') return false
    const said = body[0] === 5 || body[0] === 28 ? 'refused' : body[0] === answer.body[0] ? 'taken' : 'damaged'
    return outcomes[i] !== said
  })
  expect(wrong.map(({ question, body }) => [question.answer.name, body[0]])).toEqual([])
})

test('an agent that breaks off, at every byte, and hangs up: unreachable', async () => {
  const cases = questions.flatMap(question => {
    const frame = withLength(question.answer.body)
    return Array.from({ length: frame.length }, (_, i) => ({ question, bytes: frame.subarray(0, i), hangUp: true }))
  })
  await expectAll(cases, ['unreachable'])
})

test('an agent that breaks off and stays: given up in time', async () => {
  const cases = questions.flatMap(question => {
    const frame = withLength(question.answer.body)
    const places = [0, 1, 3, 4, 5, frame.length - 1].filter(at => at < frame.length)
    return places.map(at => ({ question, bytes: frame.subarray(0, at), hangUp: false }))
  })
  await expectAll(cases, ['unreachable'])
})

test('an answer whose own length is wrong', async () => {
  const cases = questions.flatMap(question =>
    spoilFrame(question.answer).map(bytes => ({ question, bytes, hangUp: false })),
  )
  await expectAll(cases, ['unreachable', 'damaged'])
})

/** `supports` says no where it does not get to know. */
async function expectAll(cases: Parameters<typeof askAll>[0], allowed: readonly string[]): Promise<void> {
  const outcomes = await askAll(cases)
  const wrong = cases.flatMap(({ question, bytes }, i) => {
    const { name } = question.answer
    const outcome = outcomes[i] ?? 'none'
    const fits = name === 'query' ? outcome === 'taken' : allowed.includes(outcome)
    return fits ? [] : [[name, outcome, bytes.toString('hex')]]
  })
  expect(wrong).toEqual([])
}

test('lengths of a frame, on a connection that stays: the largest answer is taken, one byte more ends it', async () => {
  const question = questions.find(({ answer }) => answer.name === 'list')
  if (!question) throw new Error('no list')
  const comment = (size: number) => 'x'.repeat(size - 4 - 1 - 4 - 8 - key.publicKey.blob.length + 4)
  const listOf = (size: number) =>
    encodeMessage(replies.identities, { identities: [{ blob: key.publicKey.blob, comment: comment(size) }] })
  const [largest, larger] = [listOf(256 * 1024), listOf(256 * 1024 + 1)]
  expect([largest.length, larger.length]).toEqual([256 * 1024 + 4, 256 * 1024 + 5])
  expect(await askAll([largest, larger].map(bytes => ({ question, bytes, hangUp: false })))).toEqual([
    'taken',
    'damaged',
  ])
})

test.each([1, 20_261, 0xdeadbeef, randomInt(2 ** 32)])(
  'ten thousand answers spoilt at random, many asked for at once, in pieces: seed %d',
  async seed => {
    const random = makeRandom(seed)
    const fake = await makeFake()
    const samples = questions.map(({ answer }) => answer)
    const inTurn = questions.filter(({ asksLater }) => !asksLater)
    const list = questions.find(({ answer }) => answer.name === 'list')
    let asked = 0
    let stream: Buffer = Buffer.alloc(0)
    fake.script = socket =>
      socket.once('data', () => {
        for (const piece of cutAtRandom(stream, 1 + random(5000), random)) socket.write(piece)
      })
    for (let round = 0; round < 100; round++) {
      // Every fifth is as it should be, and has to come to whoever asked for it.
      const plan = Array.from({ length: 100 }, (_, i) => {
        if (i % 5 > 0) return { body: spoilAtRandom(samples, random), question: inTurn[random(inTurn.length)] }
        const identities = [{ blob: Buffer.from(`${round} ${i}`), comment: `${asked++}` }]
        return { body: encodeMessage(replies.identities, { identities }).subarray(4), question: list, identities }
      })
      stream = Buffer.concat(plan.map(({ body }) => withLength(body)))
      const client = await connectAgent(fake.path, { timeout: PATIENCE })
      const answers = plan.map(({ question, identities }) =>
        identities ? client.list() : (question ?? list)?.ask(client),
      )
      await Promise.all(
        plan.map(async ({ identities }, i) => {
          if (identities) expect(await answers[i]).toEqual(identities)
          else await outcomeOf(Promise.resolve(answers[i]))
        }),
      )
      client.close()
    }
  },
)
