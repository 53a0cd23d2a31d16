import { createPublicKey, generateKeyPairSync, type KeyObject, verify } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { jest } from '@jest/globals'
import { leaveHome, type OurAgent, startOurAgent } from './agent-fixture.js'
import { connectRaw, frame, type RawClient, readStrings, string, uint32 } from './agent-wire.js'
import { succeed } from './cli-fixture.js'
import { type Home, temporaryHome } from './world/home.js'

// A long day of an agent: two hundred thousand signatures, keys that come and go, and the ledger of it all. Nothing of it
// stays in memory.

jest.setTimeout(400_000)

const SUCCESS = 6
const SIGN = 13
const SIGNATURE = 14
const ADD = 17
const REMOVE = 18

const CLIENTS = 8
/** Requests of one client that are on their way. */
const AHEAD = 16
/** What has been asked for when memory is looked at first: until then much is seen for the first time. */
const WARM_UP = 40_000
const TOTAL = 200_000
/** A client adds, uses and removes a key of its own after so many signatures. */
const BETWEEN = 500
/** Every so many-th signature is verified: to verify takes longer than to sign. */
const CHECKED = 100
const MIB = 1024 * 1024

interface Key {
  readonly blob: Buffer
  /** As it is added. */
  readonly fields: Buffer
  readonly publicKey: KeyObject
}

let home: Home
let agent: OurAgent

beforeAll(async () => {
  home = await temporaryHome()
  agent = await startOurAgent(home)
})

afterAll(async () => {
  await agent.stop()
  await leaveHome(home)
})

test('two hundred thousand signatures, with keys added and removed between, leave the agent as large as it was', async () => {
  const keys = [makeKey(), makeKey()]
  const clients = await Promise.all(Array.from({ length: CLIENTS }, () => connectRaw(agent.socket)))
  for (const { fields } of keys)
    expect(await clients[0]?.ask(ADD, fields, string('soaked'))).toEqual(Buffer.of(SUCCESS))
  const work = (count: number) =>
    Promise.all(
      clients.map((client, index) => signMany(client, keys[index % keys.length] ?? makeKey(), count / CLIENTS)),
    )

  await work(WARM_UP)
  const before = await settled()
  await work(TOTAL - WARM_UP)
  const after = await settled(before + 10 * MIB)
  for (const client of clients) client.destroy()
  expect(after - before).toBeLessThan(10 * MIB)

  // All of it is on record, each signature and what became of each key; the oldest files of it are given up.
  const verified = await succeed(home, ['log', '--verify', '--json'], { env: agent.env, timeoutMs: 120_000 })
  const { whole, compared, first, entries } = JSON.parse(verified)
  const others = 3 * (TOTAL / BETWEEN)
  expect([whole, compared, first + entries - 1]).toEqual([true, true, 1 + keys.length + TOTAL + others])
})

async function signMany(client: RawClient, key: Key, count: number): Promise<void> {
  for (let done = 0; done < count; done += BETWEEN) {
    await signSome(client, key, Math.min(BETWEEN, count - done))
    await comeAndGo(client)
  }
}

/** Keeps some requests on their way. Each answer is a signature, and some are looked at: of the request in its place. */
async function signSome(client: RawClient, key: Key, count: number): Promise<void> {
  const data = (number: number) => Buffer.from(`request ${number}`)
  let sent = 0
  for (let done = 0; done < count; done++) {
    for (; sent < count && sent - done < AHEAD; sent++) {
      client.send(frame(SIGN, string(key.blob), string(data(sent)), uint32(0)))
    }
    const answer = await client.answer()
    if (answer[0] !== SIGNATURE) throw new Error(`request ${done} was answered with ${answer[0]}`)
    if (done % CHECKED === 0) expect(isSigned(key, data(done), answer)).toBe(true)
  }
}

async function comeAndGo(client: RawClient): Promise<void> {
  const key = makeKey()
  expect(await client.ask(ADD, key.fields, string('comes and goes'))).toEqual(Buffer.of(SUCCESS))
  const data = Buffer.from('once')
  expect(isSigned(key, data, await client.ask(SIGN, string(key.blob), string(data), uint32(0)))).toBe(true)
  expect(await client.ask(REMOVE, string(key.blob))).toEqual(Buffer.of(SUCCESS))
}

function isSigned(key: Key, data: Buffer, answer: Buffer): boolean {
  const [signature = Buffer.alloc(0)] = readStrings(answer.subarray(1))
  const [, raw = Buffer.alloc(0)] = readStrings(signature)
  return verify(null, data, key.publicKey, raw)
}

/** A fresh key: the last 32 bytes of its PKCS#8 and SPKI forms are seed and public key (RFC 8410). */
function makeKey(): Key {
  const pair = generateKeyPairSync('ed25519')
  const spki = pair.publicKey.export({ format: 'der', type: 'spki' })
  const point = spki.subarray(-32)
  const seed = pair.privateKey.export({ format: 'der', type: 'pkcs8' }).subarray(-32)
  return {
    blob: Buffer.concat([string('ssh-ed25519'), string(point)]),
    fields: Buffer.concat([string('ssh-ed25519'), string(point), string(Buffer.concat([seed, point]))]),
    publicKey: createPublicKey({ key: spki, format: 'der', type: 'spki' }),
  }
}

/**
 * The memory of an agent at rest, in bytes: the smallest of what it takes for a while, as garbage waits to be collected.
 * @param most it is waited for longer until it is less, in vain where it is not garbage
 */
async function settled(most = Number.POSITIVE_INFINITY): Promise<number> {
  const sizes: number[] = []
  for (let i = 0; i < 15 || (i < 300 && Math.min(...sizes) >= most); i++) {
    const text = await readFile(`/proc/${agent.pid}/status`, 'utf8')
    sizes.push(Number(/VmRSS:\s+(\d+) kB/.exec(text)?.[1]) * 1024)
    await new Promise(resolve => setTimeout(resolve, 100))
  }
  return Math.min(...sizes)
}
