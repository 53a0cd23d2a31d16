import { createHash, generatePrimeSync } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { jest } from '@jest/globals'
import { type Askpass, makeAskpass, until } from './agent-askpass.js'
import { leaveHome, type OurAgent, startOurAgent } from './agent-fixture.js'
import { connectRaw, frame, type RawClient, string, uint32 } from './agent-wire.js'
import { type Home, temporaryHome } from './world/home.js'
import { peerPath } from './world/peers.js'
import { runOrThrow } from './world/run.js'

// Clients by the hundred that want to keep the agent from everybody else, or to fill its memory. How long the others wait
// is compared with what they wait behind as many clients that ask for nothing bad, so that a busy machine changes both.

jest.setTimeout(120_000)

const FAILURE = 5
const SUCCESS = 6
const LIST = 11
const IDENTITIES = 12
const SIGN = 13
const SIGNATURE = 14
const ADD = 17
const REMOVE_ALL = 19
const ADD_CONSTRAINED = 25
const EXTENSION = 27
/** OpenSSH's cap on one message. */
const LONGEST = 256 * 1024
const MIB = 1024 * 1024

let home: Home
let askpass: Askpass
let agent: OurAgent
let blob: Buffer
let key: Buffer
/** After the first clients were served: what a start takes aside. */
let before: number

beforeAll(async () => {
  home = await temporaryHome()
  askpass = await makeAskpass(join(home.path, 'askpass'))
  agent = await startOurAgent({ ...home, env: { ...home.env, ...askpass.env } })
  ;({ blob, key } = await makeKey('id'))
  await holdOnlyOurs()
  await expectServed(20)
  before = await resident()
})

afterEach(async () => {
  await holdOnlyOurs()
  await expectServed(3)
})

afterAll(async () => {
  await agent.stop()
  await leaveHome(home)
})

/** In bytes. */
async function resident(): Promise<number> {
  return Number(/VmRSS:\s+(\d+) kB/.exec(await readFile(`/proc/${agent.pid}/status`, 'utf8'))?.[1]) * 1024
}

/** A fresh Ed25519 key by ssh-keygen: its blob, and its fields as they are added. */
async function makeKey(name: string): Promise<{ blob: Buffer; key: Buffer }> {
  const file = join(home.ssh, name)
  await runOrThrow(peerPath('ssh-keygen'), ['-q', '-t', 'ed25519', '-N', '', '-f', file])
  const blob = await readBlob(name)
  const text = (await readFile(file, 'latin1')).replace(/-----.*-----|\s/g, '')
  // PROTOCOL.key: the public key in its own form comes twice, and behind the second the seed and once more the public key.
  const bytes = Buffer.from(text, 'base64')
  return { blob, key: bytes.subarray(bytes.lastIndexOf(blob), bytes.lastIndexOf(blob) + blob.length + 4 + 64) }
}

async function readBlob(name: string): Promise<Buffer> {
  return Buffer.from((await readFile(join(home.ssh, `${name}.pub`), 'utf8')).split(' ')[1] ?? '', 'base64')
}

async function holdOnlyOurs(): Promise<void> {
  const client = await connectAny()
  expect(await client.ask(REMOVE_ALL)).toEqual(Buffer.of(SUCCESS))
  expect(await client.ask(ADD, key, string('ours'))).toEqual(Buffer.of(SUCCESS))
  client.destroy()
}

/** Retried while so many others connect that the kernel keeps no more of them waiting. */
async function connectAny(): Promise<RawClient> {
  return until('a connection', () =>
    connectRaw(agent.socket).catch(error => {
      if (error.code === 'EAGAIN') return undefined
      throw error
    }),
  )
}

/** One after the other. */
async function connectMany(count: number): Promise<RawClient[]> {
  const clients: RawClient[] = []
  for (let i = 0; i < count; i++) clients.push(await connectAny())
  return clients
}

const signing = (data: string) => frame(SIGN, string(blob), string(data), uint32(0))

/** Asks for signatures one after the other. Returns the milliseconds that the median one took. */
async function expectServed(count = 60): Promise<number> {
  const client = await connectAny()
  const times: number[] = []
  for (let i = 0; i < count; i++) {
    const began = performance.now()
    client.send(signing(`request ${i}`))
    expect((await client.answer())[0]).toBe(SIGNATURE)
    times.push(performance.now() - began)
    await sleep(5)
  }
  client.destroy()
  return times.sort((one, other) => one - other)[Math.floor(count / 2)] ?? 0
}

/** While as many clients list and wait for nothing else. */
async function waitBesideLists(clients: number, ahead = 1): Promise<number> {
  return besides(
    clients,
    () => frame(LIST),
    () => expectServed(),
    ahead,
  )
}

/**
 * Does something while clients keep asking; an answer of any kind will do.
 * @param ahead how many requests of each client are on their way
 */
async function besides<T>(
  count: number,
  request: (index: number) => Buffer,
  work: () => Promise<T>,
  ahead = 1,
): Promise<T> {
  const clients = await connectMany(count)
  let isOver = false
  const asking = clients.map(async (client, index) => {
    for (let i = 1; i < ahead; i++) client.send(request(index))
    while (!isOver) {
      client.send(request(index))
      // It may wait for longer than a client of these tests is patient.
      await client.answer().catch(() => undefined)
    }
  })
  try {
    return await work()
  } finally {
    isOver = true
    for (const client of clients) client.destroy()
    await Promise.all(asking)
  }
}

/** A stall of one flooding request would be in every wait: it is a second and more for some of these. */
function expectAlike(waited: number, baseline: number): void {
  expect(waited).toBeLessThan(100 + 10 * baseline)
}

test('a thousand connections that say nothing', async () => {
  const idle = await connectMany(1000)
  const waited = await expectServed()
  const size = await resident()
  for (const client of idle) client.destroy()
  expectAlike(waited, await expectServed())
  expect(size - before).toBeLessThan(64 * MIB)
})

test('sixty-four that keep asking are all served', async () => {
  const baseline = await waitBesideLists(64)
  const served = new Array<number>(64).fill(0)
  const request = (index: number) => {
    served[index] = (served[index] ?? 0) + 1
    return signing(`${index}`)
  }
  expectAlike(await besides(64, request, () => expectServed()), baseline)
  // The first request is counted, too.
  expect(Math.min(...served)).toBeGreaterThan(2)
})

test('some that ask for long lists and never read them', async () => {
  const client = await connectAny()
  for (let i = 0; i < 9; i++) {
    const other = await makeKey(`long${i}`)
    expect(await client.ask(ADD, other.key, string('x'.repeat(25_000)))).toEqual(Buffer.of(SUCCESS))
  }
  const long = await client.ask(LIST)
  expect([long[0], long.length > 200_000]).toEqual([IDENTITIES, true])
  client.destroy()
  const deaf = await connectMany(100)
  for (const each of deaf) {
    each.pause()
    each.send(Buffer.concat(Array.from({ length: 500 }, () => frame(LIST))))
  }
  const waited = await expectServed()
  const size = await resident()
  for (const each of deaf) each.destroy()
  expectAlike(waited, await waitBesideLists(10))
  // What the requests ask for that one client may have under way is 14 MiB, for these clients 1.4 GiB.
  expect(size).toBeLessThan(300 * MIB)
})

test.each([200, 1000])('half messages of 256 KiB on %d connections', async count => {
  const half = Buffer.concat([uint32(LONGEST), Buffer.alloc(LONGEST - 1, 200)])
  const clients = await connectMany(count)
  for (const client of clients) client.send(half)
  const waited = await expectServed()
  // Each has been read to where it ends, or was cut off.
  await until('the end of what is sent', async () => clients.every(({ unsent }) => unsent === 0))
  const size = await resident()
  for (const client of clients) client.destroy()
  expectAlike(waited, await expectServed())
  // Some 150 to 210; all that was sent to a thousand would be 500 with the rest.
  expect(size).toBeLessThan(280 * MIB)
})

test('who sends a large message while others hold half ones has its answer', async () => {
  const half = Buffer.concat([uint32(LONGEST), Buffer.alloc(LONGEST - 1, 200)])
  const clients = await connectMany(150)
  for (const client of clients) client.send(half)
  const honest = await connectAny()
  for (let i = 0; i < 20; i++) {
    expect((await honest.ask(SIGN, string(blob), string(Buffer.alloc(200_000, i)), uint32(0)))[0]).toBe(SIGNATURE)
  }
  for (const client of [...clients, honest]) client.destroy()
})

describe('with DSA keys, which take long to check', () => {
  /** Of 4096 bits: the largest. */
  const dsa = makeDsaKey(4096)

  test('binds to such a host', async () => {
    const baseline = await waitBesideLists(32, 50)
    const session = Buffer.alloc(32, 1)
    const bind = Buffer.concat([string(dsa.blob), string(session), string(dsa.sign(session)), Buffer.of(1)])
    const binding = frame(EXTENSION, string('session-bind@openssh.com'), bind)
    const client = await connectAny()
    client.send(binding)
    expect(await client.answer()).toEqual(Buffer.of(SUCCESS))
    client.destroy()
    expectAlike(
      await besides(
        32,
        () => binding,
        () => expectServed(),
        50,
      ),
      baseline,
    )
  })

  test('keys that are restricted to as many such hosts as a message holds', async () => {
    const other = await makeKey('restricted')
    const count = Math.floor((LONGEST - 1000) / (dsa.blob.length + 5))
    const hosts = Array.from({ length: count }, () => Buffer.concat([string(dsa.blob), Buffer.of(0)]))
    const step = string(Buffer.concat([hopOf('', []), hopOf('host', hosts), string('')]))
    const constraint = [Buffer.of(255), string('restrict-destination-v00@openssh.com'), string(step)]
    const client = await connectAny()
    expect(await client.ask(ADD_CONSTRAINED, other.key, string('r'), ...constraint)).toEqual(Buffer.of(SUCCESS))
    // The same with a field too many behind it is found to be damaged only at the end.
    const request = frame(ADD_CONSTRAINED, other.key, string('r'), ...constraint, Buffer.of(99))
    client.destroy()
    const baseline = await waitBesideLists(8)
    expectAlike(
      await besides(
        8,
        () => request,
        () => expectServed(),
      ),
      baseline,
    )
  })

  test('what all keys are restricted to has a limit', async () => {
    const count = Math.floor((LONGEST - 1000) / (dsa.blob.length + 5))
    const hosts = Array.from({ length: count }, () => Buffer.concat([string(dsa.blob), Buffer.of(0)]))
    const step = string(Buffer.concat([hopOf('', []), hopOf('host', hosts), string('')]))
    const constraint = [Buffer.of(255), string('restrict-destination-v00@openssh.com'), string(step)]
    const client = await connectAny()
    const answers: (number | undefined)[] = []
    for (let i = 0; i < 40; i++) {
      const { key } = await makeKey(`many${i}`)
      answers.push((await client.ask(ADD_CONSTRAINED, key, string(''), ...constraint))[0])
    }
    client.destroy()
    // Up to the first that finds no room, and none after it.
    expect(new Set(answers)).toEqual(new Set([SUCCESS, FAILURE]))
    expect(answers).toEqual([...answers].sort((one, other) => Number(other) - Number(one)))
    expect(await resident()).toBeLessThan(300 * MIB)
  })
})

test('extensions, known and not, with much in them', async () => {
  const baseline = await waitBesideLists(32)
  const names = [
    'query',
    'session-bind@openssh.com',
    'add-ppk@putty.projects.tartarus.org',
    'reencrypt@putty.projects.tartarus.org',
    'reencrypt-all@putty.projects.tartarus.org',
    'list-extended@putty.projects.tartarus.org',
    'status@keytool',
    'list@keytool',
    'list-for@keytool',
    'add-sealed@keytool',
    'unseal@keytool',
    'unheard-of@example.com',
    'x'.repeat(10_000),
  ]
  const bodies = [Buffer.alloc(0), Buffer.alloc(5000, 1), Buffer.alloc(200_000), string(Buffer.alloc(50_000, 65))]
  const requests = names.flatMap(name => bodies.map(body => frame(EXTENSION, string(name), body)))
  const pick = (index: number) => requests[(index * 7 + Math.floor(Math.random() * 5)) % requests.length] ?? frame(LIST)
  expectAlike(await besides(32, pick, () => expectServed()), baseline)
  expect(await resident()).toBeLessThan(300 * MIB)
})

test('questions to the user: one at a time, for whoever still waits', async () => {
  const other = await makeKey('asked')
  const client = await connectAny()
  expect(await client.ask(ADD_CONSTRAINED, other.key, string('asked'), Buffer.of(2))).toEqual(Buffer.of(SUCCESS))
  client.destroy()
  const first = (await askpass.count()) + 1
  const flooding = await connectMany(50)
  const request = frame(SIGN, string(other.blob), string(Buffer.alloc(2000)), uint32(0))
  for (const each of flooding) each.send(Buffer.concat(Array.from({ length: 200 }, () => request)))
  await askpass.waitFor(first)
  const waited = await expectServed()
  expectAlike(waited, await expectServed())
  // Ten thousand wait.
  expect(await askpass.count()).toBe(first)
  expect(await resident()).toBeLessThan(300 * MIB)
  for (const each of flooding) each.destroy()
  const late = await connectAny()
  const shown = await askpass.count()
  late.send(frame(SIGN, string(other.blob), string('late'), uint32(0)))
  const question = await until('a question of the late client', async () => (await askpass.count()) > shown)
  expect(question).toBe(true)
  late.destroy()
})

test('passphrases that are wrong: whoever knows the right one need not wait for them', async () => {
  const file = join(home.ssh, 'sealed')
  await runOrThrow(peerPath('ssh-keygen'), ['-q', '-t', 'ed25519', '-a', '16', '-N', 'right', '-f', file])
  const sealed = await readBlob('sealed')
  const client = await connectAny()
  const add = [string('add-sealed@keytool'), string(await readFile(file)), string('sealed'), string(''), string('')]
  expect(await client.ask(EXTENSION, ...add)).toEqual(Buffer.of(SUCCESS))
  const unseal = (passphrase: string) => [string('unseal@keytool'), string(sealed), string(passphrase)]
  // Few, who guess much: one guess of each takes a moment, and all of them together take minutes.
  const [clients, ahead] = [5, 400]
  const baseline = await waitBesideLists(clients, ahead)
  const guess = frame(EXTENSION, ...unseal('wrong'))
  await besides(
    clients,
    () => guess,
    async () => {
      expectAlike(await expectServed(), baseline)
      expect(await client.ask(EXTENSION, ...unseal('right'))).toEqual(
        Buffer.concat([Buffer.of(29), string('unseal@keytool'), Buffer.of(1)]),
      )
    },
    ahead,
  )
  client.destroy()
})

/** PROTOCOL.agent section 2: user, host, a reserved string, the host's keys. */
function hopOf(host: string, keys: readonly Buffer[]): Buffer {
  return string(Buffer.concat([string(''), string(host), string(''), ...keys]))
}

interface DsaKey {
  readonly blob: Buffer
  /** As in RFC 4253 section 6.6: the scheme's name, then r and s. */
  sign(data: Buffer): Buffer
}

/** A key that stands every check but that of its modulus, which is many small primes: to find a large one takes minutes. */
function makeDsaKey(bits: number): DsaKey {
  const small = 512
  const q = findPrime(160, {})
  const primes = Array.from({ length: bits / small }, () => findPrime(small, { add: 2n * q, rem: 1n }))
  const p = primes.reduce((product, prime) => product * prime, 1n)
  // Of the group's order what is left without the part that is q.
  const cofactor = primes.reduce((product, prime) => (product * (prime - 1n)) / q, 1n)
  const g = power(3n, cofactor, p)
  const [x, k] = [2n, 3n]
  const r = power(g, k, p) % q
  return {
    blob: Buffer.concat([string('ssh-dss'), ...[p, q, g, power(g, x, p)].map(mpint)]),
    sign(data) {
      const hash = BigInt(`0x${createHash('sha1').update(data).digest('hex')}`)
      const s = (power(k, q - 2n, q) * (hash + x * r)) % q
      const halves = [r, s].map(half => Buffer.from(half.toString(16).padStart(40, '0'), 'hex'))
      return Buffer.concat([string('ssh-dss'), string(Buffer.concat(halves))])
    },
  }
}

function findPrime(bits: number, options: { add?: bigint; rem?: bigint }): bigint {
  for (let i = 0; i < 100; i++) {
    const found = generatePrimeSync(bits, { ...options, bigint: true })
    if (found.toString(2).length === bits) return found
  }
  throw new Error(`no prime of ${bits} bits`)
}

function power(base: bigint, exponent: bigint, modulus: bigint): bigint {
  let [result, square] = [1n, base % modulus]
  for (let rest = exponent; rest > 0n; rest >>= 1n) {
    if (rest & 1n) result = (result * square) % modulus
    square = (square * square) % modulus
  }
  return result
}

/** RFC 4251 section 5: a zero byte in front where it would be negative. */
function mpint(value: bigint): Buffer {
  const digits = value.toString(16)
  const hex = digits.length % 2 ? `0${digits}` : digits
  return string(Buffer.from(hex >= '8' ? `00${hex}` : hex, 'hex'))
}
