import { jest } from '@jest/globals'
import { generate, PrivateKey } from '@keytool/keygen'
import { makeWorld, until } from './server-support.js'
import { addRequest, ask, frame, LIST, later, signRequest, string } from './support.js'

// RSA keys are made and floods worked off: on a busy machine that takes longer than jest's five seconds.
jest.setTimeout(240_000)

const FAILURE = 5
const SUCCESS = 6
const IDENTITIES = 12
const SIGNATURE = 14

test('a flood of RSA requests holds up another client for a turn each, and ends with whoever sent it', async () => {
  const { connect, agent } = await makeWorld()
  const key = await generate('rsa', { bits: 4096 })
  await agent.add(key)
  const signing = jest.spyOn(PrivateKey.prototype, 'sign')
  later(() => signing.mockRestore())
  const request = signRequest(key, 'data', 2)
  const floods = await Promise.all(Array.from({ length: 10 }, connect))
  const other = await connect()
  let answered = 0
  for (const { socket } of floods) socket.on('data', chunk => (answered += chunk.length > 0 ? 1 : 0))
  for (const client of floods) client.send(...Array.from({ length: 60 }, () => request))
  await until(() => answered > 0)
  const before = answered
  other.send(request)
  expect((await other.reply())?.[0]).toBe(SIGNATURE)
  // Of 600 requests that were there before it, it waited for a few: those in threads, and one of each client.
  expect(answered - before).toBeLessThan(60)
  for (const { socket } of floods) socket.destroy()
  const begun = signing.mock.calls.length
  other.send(request)
  expect((await other.reply())?.[0]).toBe(SIGNATURE)
  // Five hundred of those that left were not begun yet: none of them is, but for what had its turn already.
  expect(signing.mock.calls.length - begun).toBeLessThan(30)
})

describe('keys that take seconds to check', () => {
  /** Asks to add such a key. Factors that are no primes are what OpenSSL takes longest for. */
  const heavy = makeHeavyAdd()

  function countOpenings(): () => number {
    const opening = jest.spyOn(PrivateKey, 'fromParts')
    later(() => opening.mockRestore())
    return () => opening.mock.calls.length
  }

  test('a flood of them holds up no signature, and ends with whoever sent it', async () => {
    const { connect, agent, service } = await makeWorld()
    const key = await generate('rsa', { bits: 2048 })
    const add = addRequest(key)
    await agent.add(key)
    const opened = countOpenings()
    const floods = await Promise.all(Array.from({ length: 12 }, connect))
    const other = await connect()
    let answered = 0
    for (const { socket } of floods) socket.on('data', () => answered++)
    for (const client of floods) client.send(heavy, heavy)
    await until(() => opened() > 0)
    for (let i = 0; i < 5; i++) {
      other.send(signRequest(key, 'data', 2))
      expect((await other.reply())?.[0]).toBe(SIGNATURE)
    }
    // In their turn all would be before it.
    expect(answered).toBeLessThan(4)
    for (const { socket } of floods) socket.destroy()
    const before = opened()
    other.send(add)
    expect((await other.reply())?.[0]).toBe(SUCCESS)
    // Its own, and one whose turn may have come meanwhile.
    expect(opened() - before).toBeLessThanOrEqual(2)
    await until(() => service.size === 1)
  })

  test('an agent that is locked refuses one without opening it', async () => {
    const { connect, agent } = await makeWorld()
    await agent.lock(Buffer.from('p'))
    const opened = countOpenings()
    const client = await connect()
    client.send(heavy, addRequest(await generate('ed25519')))
    expect(await client.numbers(2)).toEqual([FAILURE, FAILURE])
    expect(opened()).toBe(0)
  })

  test('one that waits for its turn is not opened once the agent is locked', async () => {
    const { connect, agent } = await makeWorld()
    const opened = countOpenings()
    const clients = await Promise.all(Array.from({ length: 4 }, connect))
    for (const client of clients) client.send(heavy)
    await until(() => opened() === 1)
    await agent.lock(Buffer.from('p'))
    for (const client of clients) expect((await client.reply())?.[0]).toBe(FAILURE)
    expect(opened()).toBe(1)
  })
})

/** An RSA key of 16351 bits of which every equation holds, and whose factors are no primes. */
function makeHeavyAdd(): Buffer {
  const [e, p, q] = [65537n, 3n ** 5160n, 5n ** 3520n]
  const integers = [p * q, e, invert(e, (p - 1n) * (q - 1n)), invert(q, p), p, q].map(mpint)
  return frame(17, string('ssh-rsa'), ...integers, string('heavy'))
}

/** By Euclid's algorithm. */
function invert(value: bigint, modulus: bigint): bigint {
  let [a, b, x, y] = [value, modulus, 1n, 0n]
  while (b > 0n) [a, b, x, y] = [b, a % b, y, x - (a / b) * y]
  return ((x % modulus) + modulus) % modulus
}

/** RFC 4251 section 5: a zero byte in front where it would be negative, and none elsewhere. */
function mpint(value: bigint): Buffer {
  const digits = value.toString(16)
  const hex = digits.length % 2 ? `0${digits}` : digits
  return string(Buffer.from(hex >= '8' ? `00${hex}` : hex, 'hex'))
}

test('clients that keep guessing the passphrase do not keep out the one who knows it', async () => {
  const { connect } = await makeWorld()
  const owner = await connect()
  owner.send(ask('lock', { passphrase: Buffer.from('right') }))
  expect((await owner.reply())?.[0]).toBe(SUCCESS)
  let over = false
  let refused = 0
  const guess = ask('unlock', { passphrase: Buffer.from('wrong') })
  const guessers = Array.from({ length: 60 }, async () => {
    const client = await connect()
    while (!over) {
      client.send(guess)
      if ((await client.reply())?.[0] === undefined) return
      refused++
      await new Promise(resolve => setTimeout(resolve, 5))
    }
    client.socket.destroy()
  })
  // Each has had a try or was turned away: as many wait as may.
  await until(() => refused > 120)
  const late = await connect()
  late.send(ask('unlock', { passphrase: Buffer.from('right') }))
  const answer = await late.reply()
  over = true
  await Promise.all(guessers)
  expect(answer?.[0]).toBe(SUCCESS)
})

test('a flood of requests is answered to the last, with others served in between', async () => {
  const { connect, agent } = await makeWorld()
  const key = await generate('ed25519')
  const request = signRequest(key)
  await agent.add(key)
  const [flood, other] = [await connect(), await connect()]
  const count = 3000
  flood.send(...Array.from({ length: count }, () => request))
  let done = 0
  const flooding = (async () => {
    for (; done < count; done++) expect((await flood.reply())?.[0]).toBe(SIGNATURE)
  })()
  other.send(LIST)
  expect((await other.reply())?.[0]).toBe(IDENTITIES)
  expect(done).toBeLessThan(count)
  await flooding
})
