import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { jest } from '@jest/globals'
import { type Askpass, makeAskpass, until } from './agent-askpass.js'
import { leaveHome, type OurAgent, startOurAgent } from './agent-fixture.js'
import { makeKey, readLedger, succeed } from './agent-hosts.js'
import { constraint, listKeys, makeRawKey, watchKeys } from './agent-terms.js'
import { connectRaw, string, uint32 } from './agent-wire.js'
import { type Environment, type Home, temporaryHome } from './world/home.js'
import { peerPath } from './world/peers.js'
import { runOrThrow } from './world/run.js'

// When keys go by themselves: by what they were added with, or else by what the agent was started with.

jest.setTimeout(120_000)

const LIST = 11
const IDENTITIES = 12
const SIGN = 13
const ADD = 17
const ADD_CONSTRAINED = 25
const FAILURE = 5
const SUCCESS = 6
const SIGNATURE = 14

/** What the clock that lifetimes are counted by may be behind. */
const CLOCK_MS = 20
/** How late a machine that is busy with other things may be. */
const LATE_MS = 15_000

let home: Home
let askpass: Askpass
let env: Environment

beforeEach(async () => {
  home = await temporaryHome()
  askpass = await makeAskpass(home.path)
  env = { ...home.env, ...askpass.env }
})
afterEach(() => leaveHome(home))

async function withAgent(args: readonly string[], work: (agent: OurAgent) => Promise<void>): Promise<void> {
  const agent = await startOurAgent({ ...home, env }, ['-s', ...args])
  try {
    await work(agent)
  } finally {
    await agent.stop()
  }
}

async function ask(agent: OurAgent, number: number, ...body: Buffer[]): Promise<number | undefined> {
  const client = await connectRaw(agent.socket)
  try {
    return (await client.ask(number, ...body))[0]
  } finally {
    client.destroy()
  }
}

test("what it was added with comes before the agent's own -t, whichever is longer; and none is kept too long", async () => {
  await withAgent(['-t', '4'], async agent => {
    const watch = watchKeys(agent.socket)
    const add = (words: readonly string[]) => runOrThrow(peerPath('ssh-add'), ['-q', ...words], { env: agent.env })
    /** What adds a key of that name, and how long it is held. */
    const ways: readonly [string, (file: string) => Promise<unknown>, number][] = [
      ['ssh-add', file => add([file]), 4],
      ['ssh-add -c', file => add(['-c', file]), 4],
      ['ssh-add -t 3', file => add(['-t', '3', file]), 3],
      ['ssh-add -t 6', file => add(['-t', '6', file]), 6],
      ['ssh-add -t 1h', file => add(['-t', '1h', file]), 3600],
      ['keytool add', file => succeed(agent.env, ['add', file]), 4],
      ['keytool add -t 6', file => succeed(agent.env, ['add', '-t', '6', file]), 6],
      ['keytool add -t 2h', file => succeed(agent.env, ['add', '-t', '2h', file]), 7200],
    ]
    const files = ways.map((_, index) => join(home.ssh, `key${index}`))
    await Promise.all(files.map(file => makeKey(file)))
    const added: { way: string; seconds: number; blob: Buffer; before: number; after: number }[] = []
    for (const [index, [way, put, seconds]] of ways.entries()) {
      const file = files[index] ?? ''
      const line = await readFile(`${file}.pub`, 'utf8')
      const blob = Buffer.from(line.split(' ')[1] ?? '', 'base64')
      const before = Date.now()
      await put(file)
      added.push({ way, seconds, blob, before, after: Date.now() })
      const shown = (await listKeys(agent.socket)).find(key => key.blob === blob.toString('base64'))
      expect({ way, lifetime: shown?.lifetime }).toEqual({ way, lifetime: seconds })
    }
    for (const { way, seconds, blob, before, after } of added.filter(({ seconds }) => seconds < 60)) {
      const goneAt = await until(`the end of ${way}`, async () => watch.goneAt(blob))
      const [least, most] = [goneAt - after, goneAt - before]
      const inTime = most > seconds * 1000 - CLOCK_MS && least < seconds * 1000 + LATE_MS
      expect({ way, least, most, inTime }).toEqual({ way, least, most, inTime: true })
    }
    expect((await listKeys(agent.socket)).map(({ lifetime }) => lifetime)).toEqual([3600, 7200])
    await watch.stop()
    // It goes by itself, and the ledger knows.
    const expired = await readLedger(agent.env, 'expire')
    expect(expired).toHaveLength(added.filter(({ seconds }) => seconds < 60).length)
  })
})

test('without -t of the agent, a key without a lifetime has none', async () => {
  await withAgent([], async agent => {
    await ask(agent, ADD, makeRawKey('kept').body)
    expect(await listKeys(agent.socket)).toMatchObject([{ lifetime: null, left: null }])
  })
})

test('use does not lengthen it, and a key that is over signs nothing, on a connection that used it before, too', async () => {
  await withAgent([], async agent => {
    const { blob, body } = makeRawKey('kept')
    const client = await connectRaw(agent.socket)
    const before = Date.now()
    expect((await client.ask(ADD_CONSTRAINED, body, constraint.lifetime(2)))[0]).toBe(SUCCESS)
    const sign = async () => (await client.ask(SIGN, string(blob), string('data'), uint32(0)))[0]
    const after = Date.now()
    let signed = 0
    const answer = await until('its end', async () => {
      const number = await sign()
      if (number !== SIGNATURE) return number
      signed++
      return undefined
    })
    const goneAt = Date.now()
    expect(answer).toBe(FAILURE)
    expect(signed).toBeGreaterThan(0)
    expect(goneAt - before).toBeGreaterThan(2000 - CLOCK_MS)
    expect(goneAt - after).toBeLessThan(2000 + LATE_MS)
    expect(await client.ask(LIST)).toEqual(Buffer.concat([Buffer.from([IDENTITIES]), uint32(0)]))
    client.destroy()
  })
})

test('added again, it is held as long as it was added for then', async () => {
  await withAgent([], async agent => {
    const [longer, shorter, free] = [makeRawKey('longer'), makeRawKey('shorter'), makeRawKey('free')]
    const add = (body: Buffer, seconds: number) => ask(agent, ADD_CONSTRAINED, body, constraint.lifetime(seconds))
    expect(await add(longer.body, 1)).toBe(SUCCESS)
    expect(await add(longer.body, 600)).toBe(SUCCESS)
    expect(await add(free.body, 1)).toBe(SUCCESS)
    expect(await ask(agent, ADD, free.body)).toBe(SUCCESS)
    expect(await add(shorter.body, 600)).toBe(SUCCESS)
    expect(await add(shorter.body, 1)).toBe(SUCCESS)
    await until('its end', async () => (await listKeys(agent.socket)).length === 2)
    expect(await listKeys(agent.socket)).toMatchObject([{ lifetime: 600 }, { lifetime: null }])
  })
})

test('it ends while the user is asked: a yes comes too late', async () => {
  await withAgent([], async agent => {
    const { blob, body } = makeRawKey('kept')
    const constraints = Buffer.concat([constraint.lifetime(3), constraint.confirm()])
    expect(await ask(agent, ADD_CONSTRAINED, body, constraints)).toBe(SUCCESS)
    const answer = ask(agent, SIGN, string(blob), string('data'), uint32(0))
    answer.catch(() => {})
    await askpass.waitFor(1)
    await until('its end', async () => (await listKeys(agent.socket)).length === 0)
    await askpass.answer(1, 'yes')
    expect(await answer).toBe(FAILURE)
  })
})

test('it ends while the agent is locked', async () => {
  await withAgent([], async agent => {
    const [short, long] = [makeRawKey('short'), makeRawKey('long')]
    expect(await ask(agent, ADD_CONSTRAINED, short.body, constraint.lifetime(1))).toBe(SUCCESS)
    expect(await ask(agent, ADD_CONSTRAINED, long.body, constraint.lifetime(600))).toBe(SUCCESS)
    expect(await ask(agent, 22, string('sesame'))).toBe(SUCCESS)
    await until('its end in the ledger', async () => (await readLedger(agent.env, 'expire')).length === 1)
    expect(await ask(agent, 23, string('sesame'))).toBe(SUCCESS)
    expect(await listKeys(agent.socket)).toMatchObject([{ blob: long.blob.toString('base64') }])
  })
})
