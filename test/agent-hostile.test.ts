import { generateKeyPairSync } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { jest } from '@jest/globals'
import { leaveHome, type OurAgent, startOurAgent } from './agent-fixture.js'
import { connectRaw, frame, readStrings, string, uint32 } from './agent-wire.js'
import { type Home, temporaryHome } from './world/home.js'
import { peerPath } from './world/peers.js'
import { run, runOrThrow } from './world/run.js'

// Clients that break off, lie, flood or ask for what our agent does not do. It must serve everybody else meanwhile.
// What it does with each constraint and each extension is tested where they are used.

jest.setTimeout(60_000)

const FAILURE = 5
const SUCCESS = 6
const LIST = 11
const IDENTITIES = 12
const SIGN = 13
const SIGNATURE = 14
const OLD_REMOVE_ALL = 9
const ADD_CONSTRAINED = 25
const EXTENSION_FAILURE = 28
const EXTENSION_RESPONSE = 29
const DATA = string('data')
/** OpenSSH's cap on one message. */
const LONGEST = 256 * 1024

let home: Home
let agent: OurAgent
let blob: Buffer

beforeAll(async () => {
  const bare = await temporaryHome()
  // Whatever it asks its user, wherever the tests were started: no.
  home = { ...bare, env: { ...bare.env, SSH_ASKPASS: '/bin/false', SSH_ASKPASS_REQUIRE: 'force' } }
  agent = await startOurAgent(home)
  const file = join(home.ssh, 'id')
  await runOrThrow(peerPath('ssh-keygen'), ['-q', '-t', 'ed25519', '-N', '', '-C', 'hana', '-f', file])
  await addAgain()
  blob = Buffer.from((await readFile(`${file}.pub`, 'utf8')).split(' ')[1] ?? '', 'base64')
})

async function addAgain(): Promise<void> {
  await runOrThrow(peerPath('ssh-add'), ['-q', join(home.ssh, 'id')], { env: agent.env })
}

/** Whatever was done to it, it holds the one key, and signs with it. */
async function expectServing(): Promise<void> {
  expect(await run(peerPath('ssh-add'), ['-T', join(home.ssh, 'id.pub')], { env: agent.env })).toMatchObject({
    status: 0,
  })
  const { stdout } = await run(peerPath('ssh-add'), ['-L'], { env: agent.env })
  expect(stdout).toBe(`ssh-ed25519 ${blob.toString('base64')} hana\n`)
}

afterEach(expectServing)

afterAll(async () => {
  await agent.stop()
  await leaveHome(home)
})

test('half a message holds up nobody, and is answered once it is whole', async () => {
  const client = await connectRaw(agent.socket)
  const whole = frame(SIGN, string(blob), string('data'), uint32(0))
  client.send(whole.subarray(0, 20))
  await expectServing()
  for (const byte of whole.subarray(20)) client.send(Buffer.from([byte]))
  expect((await client.answer())[0]).toBe(SIGNATURE)
  client.destroy()
})

test('a client that ends in the middle of a message is let go', async () => {
  for (const size of [1, 3, 4, 5, 30]) {
    const client = await connectRaw(agent.socket)
    client.send(frame(SIGN, string(blob), string('data'), uint32(0)).subarray(0, size))
    client.end()
    await client.closed
  }
})

test('a client that says its last still gets its answers', async () => {
  const client = await connectRaw(agent.socket)
  client.send(Buffer.concat([frame(LIST), frame(SIGN, string(blob), string('data'), uint32(0)), frame(LIST)]))
  client.end()
  expect((await client.answer())[0]).toBe(IDENTITIES)
  expect((await client.answer())[0]).toBe(SIGNATURE)
  expect((await client.answer())[0]).toBe(IDENTITIES)
  await client.closed
})

test('a message of 256 KiB is answered, one byte more closes that connection, and so does none at all', async () => {
  const longest = await connectRaw(agent.socket)
  expect(await longest.ask(200, Buffer.alloc(LONGEST - 1))).toEqual(Buffer.from([FAILURE]))
  expect((await longest.ask(LIST))[0]).toBe(IDENTITIES)
  for (const length of [LONGEST + 1, 0x7fffffff, 0xffffffff, 0]) {
    const client = await connectRaw(agent.socket)
    client.send(Buffer.concat([uint32(length), Buffer.from([LIST])]))
    await client.closed
  }
  expect((await longest.ask(LIST))[0]).toBe(IDENTITIES)
  longest.destroy()
})

test('every number that it does not serve is a FAILURE with its body consumed, and the connection goes on', async () => {
  const served = [OLD_REMOVE_ALL, LIST, 17, 18, 19, 22, 23, SIGN]
  const client = await connectRaw(agent.socket)
  for (let number = 0; number < 256; number++) {
    if (served.includes(number)) continue
    for (const body of [Buffer.alloc(0), Buffer.alloc(100, 0xff), string('a body')]) {
      expect([number, await client.ask(number, body)]).toEqual([number, Buffer.from([FAILURE])])
    }
  }
  expect((await client.ask(LIST))[0]).toBe(IDENTITIES)
  client.destroy()
})

test('the old number for "remove all keys" does so, as with ssh-agent: old clients send both', async () => {
  const client = await connectRaw(agent.socket)
  expect(await client.ask(OLD_REMOVE_ALL)).toEqual(Buffer.from([SUCCESS]))
  expect(await client.ask(LIST)).toEqual(Buffer.from([IDENTITIES, 0, 0, 0, 0]))
  await addAgain()
  client.destroy()
})

test('cards are refused, nothing is loaded from a path', async () => {
  const client = await connectRaw(agent.socket)
  const card = [string('/usr/lib/libc.so.6'), string('1234')]
  expect(await client.ask(20, ...card)).toEqual(Buffer.from([FAILURE]))
  expect(await client.ask(21, ...card)).toEqual(Buffer.from([FAILURE]))
  expect(await client.ask(26, ...card, Buffer.from([1]), uint32(60))).toEqual(Buffer.from([FAILURE]))
  expect(await readFile(`/proc/${agent.pid}/maps`, 'utf8')).not.toContain('pkcs11')
  client.destroy()
})

/** The name of a constraint beyond the numbered ones, and what it says. */
function named(name: string, body: Buffer): Buffer {
  return Buffer.concat([Buffer.from([255]), string(name), body])
}

const DESTINATIONS = 'restrict-destination-v00@openssh.com'
const ONE_MINUTE = Buffer.concat([Buffer.from([1]), uint32(60)])
const WITH_QUESTION = Buffer.from([2])

/** One hop from this machine to a host with this key (PROTOCOL.agent section 2), as often as asked. */
function toHost(hostKey: Buffer, times = 1): Buffer {
  const from = Buffer.concat([string(''), string(''), string('')])
  const to = Buffer.concat([string(''), string('web.example'), string(''), string(hostKey), Buffer.from([0])])
  const hop = string(Buffer.concat([string(from), string(to), string('')]))
  return named(DESTINATIONS, string(Buffer.concat(Array.from({ length: times }, () => hop))))
}

function hostKey(): Buffer {
  return Buffer.concat([string('ssh-ed25519'), string(makeEd25519().publicKey)])
}

/** A fresh key as it is added, and its blob. */
function freshKey() {
  const { publicKey, seed } = makeEd25519()
  const parts = [string('ssh-ed25519'), string(publicKey), string(Buffer.concat([seed, publicKey])), string('fresh')]
  return { parts, own: Buffer.concat([string('ssh-ed25519'), string(publicKey)]) }
}

test.each([
  ['a constraint nobody knows', Buffer.from([77])],
  ['one nobody knows behind one that is known', Buffer.concat([ONE_MINUTE, Buffer.from([77])])],
  ['a constraint by a name nobody knows', named('x@y', string(''))],
  ['a program of its own to sign with', named('sk-provider@openssh.com', string('/usr/lib/libc.so.6'))],
  ['no lifetime at all', Buffer.concat([Buffer.from([1]), uint32(0)])],
  ['half a lifetime', ONE_MINUTE.subarray(0, 3)],
  ['two lifetimes', Buffer.concat([ONE_MINUTE, ONE_MINUTE])],
  ['two questions', Buffer.concat([WITH_QUESTION, WITH_QUESTION])],
  // What says that it is limited to some hosts, and names none, is no key for everywhere.
  ['no destination', named(DESTINATIONS, string(''))],
  ['half a destination', named(DESTINATIONS, string(string(string(''))))],
  ['destinations twice', Buffer.concat([toHost(hostKey()), toHost(hostKey())])],
  ['a destination with a byte too many', Buffer.concat([toHost(hostKey()), Buffer.from([0])])],
])('a key with %s is refused, and not held without it', async (_, constraint) => {
  const client = await connectRaw(agent.socket)
  const { parts, own } = freshKey()
  expect(await client.ask(ADD_CONSTRAINED, ...parts, constraint)).toEqual(Buffer.from([FAILURE]))
  await expectServing()
  // The same without a constraint is taken: it was the constraint that was refused.
  expect(await client.ask(17, ...parts)).toEqual(Buffer.from([SUCCESS]))
  expect(await client.ask(18, string(own))).toEqual(Buffer.from([SUCCESS]))
  client.destroy()
})

test('a key with a lifetime is taken, signs, and is gone in time', async () => {
  const client = await connectRaw(agent.socket)
  const { parts, own } = freshKey()
  const seconds = Buffer.concat([Buffer.from([1]), uint32(2)])
  const began = Date.now()
  // In one breath: it signs before its time is over, however busy the machine is.
  client.send(Buffer.concat([frame(ADD_CONSTRAINED, ...parts, seconds), frame(SIGN, string(own), DATA, uint32(0))]))
  expect(await client.answer()).toEqual(Buffer.from([SUCCESS]))
  expect((await client.answer())[0]).toBe(SIGNATURE)
  const isThere = async () => (await client.ask(LIST)).includes(own)
  while (await isThere()) expect(Date.now() - began).toBeLessThan(30_000)
  expect(Date.now() - began).toBeGreaterThan(1900)
  expect(await client.ask(SIGN, string(own), string('data'), uint32(0))).toEqual(Buffer.from([FAILURE]))
  client.destroy()
})

test.each([
  ['a question that nobody answers with yes', WITH_QUESTION],
  ['a destination, for a client that is bound to none', toHost(hostKey())],
  ['many destinations', toHost(hostKey(), 100)],
])('a key with %s is taken, and signs nothing', async (_, constraint) => {
  const client = await connectRaw(agent.socket)
  const { parts, own } = freshKey()
  expect(await client.ask(ADD_CONSTRAINED, ...parts, constraint)).toEqual(Buffer.from([SUCCESS]))
  expect((await client.ask(LIST)).includes(own)).toBe(true)
  expect(await client.ask(SIGN, string(own), string('data'), uint32(0))).toEqual(Buffer.from([FAILURE]))
  // Added once more without it, it is a key like any other.
  expect(await client.ask(17, ...parts)).toEqual(Buffer.from([SUCCESS]))
  expect((await client.ask(SIGN, string(own), string('data'), uint32(0)))[0]).toBe(SIGNATURE)
  expect(await client.ask(18, string(own))).toEqual(Buffer.from([SUCCESS]))
  client.destroy()
})

test('a key whose halves do not belong together is refused', async () => {
  const client = await connectRaw(agent.socket)
  const { publicKey } = makeEd25519()
  const { seed } = makeEd25519()
  const key = [string('ssh-ed25519'), string(publicKey), string(Buffer.concat([seed, publicKey])), string('mixed')]
  expect(await client.ask(17, ...key)).toEqual(Buffer.from([FAILURE]))
  client.destroy()
})

test('extensions that it does not know are a FAILURE; nonsense in one that it knows is an EXTENSION_FAILURE', async () => {
  const client = await connectRaw(agent.socket)
  const nonsense = Buffer.alloc(50, 0xff)
  for (const name of ['', 'x@y', 'query@openssh.com', 'session-bind', 'q'.repeat(1000)]) {
    expect([name, await client.ask(27, string(name), nonsense)]).toEqual([name, Buffer.from([FAILURE])])
  }
  const [name = Buffer.alloc(0), ...known] = readStrings((await client.ask(27, string('query'))).subarray(1))
  expect(name.toString()).toBe('query')
  const names = ['query', ...known.map(String)]
  expect(names).toEqual(
    expect.arrayContaining(['session-bind@openssh.com', 'list-extended@putty.projects.tartarus.org']),
  )
  for (const each of names) {
    expect([each, await client.ask(27, string(each), nonsense)]).toEqual([each, Buffer.from([EXTENSION_FAILURE])])
  }
  expect((await client.ask(27, string('query')))[0]).toBe(EXTENSION_RESPONSE)
  client.destroy()
})

test('bodies with too little, too much or nonsense in them are a FAILURE', async () => {
  const client = await connectRaw(agent.socket)
  const good = Buffer.concat([string(blob), string('data'), uint32(0)])
  for (let size = 0; size < good.length; size++) {
    // As PuTTY's agent has it, the flags alone may be missing.
    const number = size === good.length - 4 ? SIGNATURE : FAILURE
    expect([size, (await client.ask(SIGN, good.subarray(0, size)))[0]]).toEqual([size, number])
  }
  const bad = [
    Buffer.concat([good, Buffer.alloc(1)]),
    Buffer.concat([uint32(0xffffffff), good]),
    Buffer.alloc(40, 0xff),
  ]
  for (const body of bad) {
    expect(await client.ask(SIGN, body)).toEqual(Buffer.from([FAILURE]))
    for (const number of [17, 18, 19, 22, 23]) expect(await client.ask(number, body)).toEqual(Buffer.from([FAILURE]))
  }
  // A key that it does not hold.
  const { publicKey } = makeEd25519()
  const stranger = string(Buffer.concat([string('ssh-ed25519'), string(publicKey)]))
  expect(await client.ask(SIGN, stranger, string('data'), uint32(0))).toEqual(Buffer.from([FAILURE]))
  expect((await client.ask(SIGN, good))[0]).toBe(SIGNATURE)
  client.destroy()
})

test('a thousand requests in one breath are answered in their order', async () => {
  const client = await connectRaw(agent.socket)
  const requests = [frame(LIST), frame(SIGN, string(blob), string('data'), uint32(0)), frame(250)]
  const answers = [IDENTITIES, SIGNATURE, FAILURE]
  client.send(Buffer.concat(Array.from({ length: 999 }, (_, index) => requests[index % 3] ?? Buffer.alloc(0))))
  for (let index = 0; index < 999; index++) expect((await client.answer())[0]).toBe(answers[index % 3])
  client.destroy()
})

test('two hundred clients with half a message hold up nobody, and what they claim takes no memory', async () => {
  const before = await residentKiB()
  const clients = await Promise.all(Array.from({ length: 200 }, () => connectRaw(agent.socket)))
  for (const client of clients) client.send(Buffer.concat([uint32(LONGEST), Buffer.alloc(1000)]))
  await expectServing()
  // All that they claim would be 50 MiB.
  expect((await residentKiB()) - before).toBeLessThan(25 * 1024)
  for (const client of clients) client.destroy()
})

test('from a client that floods and never reads, nothing more is taken; the others are served', async () => {
  const flood = await connectRaw(agent.socket)
  flood.pause()
  const batch = Buffer.concat(Array.from({ length: 20_000 }, () => frame(LIST)))
  for (let round = 0; round < 20; round++) flood.send(batch)
  // Time enough to have answered all 400 000 of them, for an agent that keeps answers for whoever does not read.
  for (const end = Date.now() + 3000; Date.now() < end; ) {
    await expectServing()
    expect(flood.unsent).toBeGreaterThan(0)
  }
  flood.destroy()
})

async function residentKiB(): Promise<number> {
  return Number(/VmRSS:\s+(\d+) kB/.exec(await readFile(`/proc/${agent.pid}/status`, 'utf8'))?.[1])
}

/** A fresh key: the last 32 bytes of its PKCS#8 and SPKI forms are seed and public key (RFC 8410). */
function makeEd25519(): { publicKey: Buffer; seed: Buffer } {
  const pair = generateKeyPairSync('ed25519')
  return {
    publicKey: pair.publicKey.export({ format: 'der', type: 'spki' }).subarray(-32),
    seed: pair.privateKey.export({ format: 'der', type: 'pkcs8' }).subarray(-32),
  }
}
