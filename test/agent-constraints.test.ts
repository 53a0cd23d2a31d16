import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { jest } from '@jest/globals'
import { until } from './agent-askpass.js'
import { makeBareHost, succeed } from './agent-hosts.js'
import { openSuiteWorld, type SuiteWorld } from './agent-suite.js'
import {
  constraint,
  encodeWanted,
  type Goal,
  listKeys,
  makeRawKey,
  type Shown,
  trySigning,
  type Wanted,
  watchKeys,
} from './agent-terms.js'
import { connectRaw, type RawClient, string, uint32 } from './agent-wire.js'
import { newestSuites, ownSuite, type Suite } from './world/newest.js'

// Every constraint and every combination of them, by every way to add a key: enforced or refused, nothing between.

jest.setTimeout(120_000)

const ADD = 17
const ADD_CARD_CONSTRAINED = 26
const ADD_CONSTRAINED = 25
const EXTENSION = 27
const FAILURE = 5
const SUCCESS = 6

/** In seconds. What is done with one key in between must take less. */
const LIFETIME = 4
const IDLE = 3
/** Where idle comes first. */
const LONG = 9

/** What the clock that lifetimes are counted by may be behind. */
const CLOCK_MS = 20
/** How long a machine that is busy with other things may be on the way to the agent. */
const LATE_MS = 3000

const goal: Goal = { host: makeBareHost(), name: 'shop.example', user: 'hana' }
const elsewhere = makeBareHost()

/** What is enforced. Of a key without an encrypted file there is nothing to seal, so it has no `idle`. */
const kept: Required<Wanted> = { lifetime: LIFETIME, confirm: true, goal, idle: IDLE }
type Name = keyof Wanted

function subsetsOf(names: readonly Name[]): Wanted[] {
  const some = { ...kept, lifetime: names.includes('idle') ? LONG : LIFETIME }
  return Array.from({ length: 2 ** names.length }, (_, bits) => {
    const chosen = names.filter((_, index) => bits & (1 << index)).map(name => [name, some[name]])
    return Object.fromEntries(chosen) as Wanted
  })
}

interface Way {
  readonly name: string
  readonly suite: Suite
  /** What can be said this way. */
  readonly names: readonly Name[]
  /** Makes a key and adds it. Returns its public half. */
  add(world: SuiteWorld, comment: string, wanted: Wanted): Promise<Buffer>
}

const open: readonly Name[] = ['lifetime', 'confirm', 'goal']

const ways: readonly Way[] = [
  ...[ownSuite(), ...newestSuites()].map(suite => ({
    name: `ssh-add of Debian ${suite.name}`,
    suite,
    names: open,
    async add(world: SuiteWorld, comment: string, { lifetime, confirm, goal }: Wanted) {
      const file = join(world.home.ssh, comment)
      await makeKey(world, file, '')
      const hosts = world.inside(join(world.home.ssh, 'known_hosts'))
      const time = lifetime === undefined ? [] : ['-t', String(lifetime)]
      const steps = goal ? ['-H', hosts, '-h', `${goal.user}@${goal.name}`] : []
      await world.runOrThrow('ssh-add', [...time, ...(confirm ? ['-c'] : []), ...steps, world.inside(file)])
      return readBlob(file)
    },
  })),
  {
    name: 'ADD_ID_CONSTRAINED',
    suite: ownSuite(),
    names: open,
    async add({ agent }, comment, wanted) {
      const { blob, body } = makeRawKey(comment)
      const constraints = encodeWanted(wanted)
      const client = await connectRaw(agent.socket)
      const [answer] = await client.ask(constraints.length > 0 ? ADD_CONSTRAINED : ADD, body, constraints)
      client.destroy()
      expect(answer).toBe(SUCCESS)
      return blob
    },
  },
  {
    name: 'keytool add of an encrypted file',
    suite: ownSuite(),
    names: [...open, 'idle'],
    async add(world, comment, { lifetime, confirm, goal, idle }) {
      const file = join(world.home.ssh, comment)
      const passphrase = join(world.home.path, 'passphrase')
      await makeKey(world, file, 'sesame')
      await writeFile(passphrase, 'sesame\n', { mode: 0o600 })
      await succeed(world.agent.env, [
        ...['add', '--passphrase-file', passphrase, file],
        ...(lifetime === undefined ? [] : ['-t', String(lifetime)]),
        ...(confirm ? ['-c'] : []),
        ...(goal ? ['--for', `${goal.user}@${goal.name}`] : []),
        ...(idle === undefined ? [] : ['--idle', String(idle)]),
      ])
      return readBlob(file)
    },
  },
]

/** As few rounds as there can be: these are opened in the middle of things. */
async function makeKey(world: SuiteWorld, file: string, passphrase: string): Promise<void> {
  const how = ['-q', '-t', 'ed25519', '-a', '1', '-N', passphrase, '-C', 'kept']
  await world.runOrThrow('ssh-keygen', [...how, '-f', world.inside(file)])
}

async function readBlob(file: string): Promise<Buffer> {
  const [, blob = ''] = (await readFile(`${file}.pub`, 'utf8')).split(' ')
  return Buffer.from(blob, 'base64')
}

async function showKey(socket: string, blob: Buffer): Promise<Shown | undefined> {
  return (await listKeys(socket)).find(shown => shown.blob === blob.toString('base64'))
}

test.each(ways)('$name: each is enforced, alone and with all others', async ({ suite, names, add }) => {
  const world = await openSuiteWorld(suite)
  const { socket } = world.agent
  const watch = watchKeys(socket)
  try {
    await writeFile(join(world.home.ssh, 'known_hosts'), `${goal.name} ${goal.host.line}\n`)
    const added: { wanted: Wanted; blob: Buffer; before: number; after: number }[] = []
    for (const [index, wanted] of subsetsOf(names).entries()) {
      const before = Date.now()
      const blob = await add(world, `key${index}`, wanted)
      added.push({ wanted, blob, before, after: Date.now() })
      expect(await showKey(socket, blob)).toMatchObject({
        state: 'open',
        lifetime: wanted.lifetime ?? null,
        confirm: wanted.confirm ?? false,
        destinations: wanted.goal ? ['hana@shop.example'] : [],
        idle: wanted.idle ?? null,
      })
      await proveUse(world, blob, wanted)
    }

    for (const { wanted, blob, before, after } of added) {
      if (wanted.idle !== undefined) {
        await until('its being sealed', async () => watch.wasSealed(blob) || watch.goneAt(blob))
        expect({ wanted, sealed: watch.wasSealed(blob) }).toEqual({ wanted, sealed: true })
      } else {
        expect({ wanted, sealed: watch.wasSealed(blob) }).toEqual({ wanted, sealed: false })
      }
      if (wanted.lifetime === undefined) continue
      const goneAt = await until('its end', async () => watch.goneAt(blob))
      // Not before its time; and whoever asked afterwards did not see it, however late the answer was.
      const [held, seen] = [goneAt - before, (watch.seenAt(blob) ?? 0) - after]
      const end = wanted.lifetime * 1000
      const inTime = held > end - CLOCK_MS && seen < end + LATE_MS
      expect({ wanted, held, seen, inTime }).toEqual({ wanted, held, seen, inTime: true })
      expect(await trySigning(socket, blob, goal, elsewhere)).toEqual(nothing)
    }
    // The others stay, and are held as they were.
    for (const { wanted, blob } of added.filter(({ wanted }) => wanted.lifetime === undefined)) {
      expect({ wanted, goneAt: watch.goneAt(blob) }).toEqual({ wanted, goneAt: undefined })
      if (wanted.idle === undefined) await proveUse(world, blob, wanted)
    }
  } finally {
    await watch.stop()
    await world.dispose()
  }
})

const nothing = { there: false, thereAsAnother: false, elsewhere: false, unbound: false }

/** A use that a constraint forbids is refused, one that none forbids is not, and the user is asked where that is due. */
async function proveUse(world: SuiteWorld, blob: Buffer, wanted: Wanted): Promise<void> {
  const free = wanted.goal === undefined
  const allowed = { there: true, thereAsAnother: free, elsewhere: free, unbound: free }
  const asked = await world.countQuestions()
  await world.answerQuestions('yes')
  const confirmed = await trySigning(world.agent.socket, blob, goal, elsewhere)
  expect({ wanted, ...confirmed }).toEqual({ wanted, ...allowed })
  const questions = wanted.confirm ? Object.values(allowed).filter(Boolean).length : 0
  expect({ wanted, questions: (await world.countQuestions()) - asked }).toEqual({ wanted, questions })
  await world.answerQuestions('no')
  const denied = await trySigning(world.agent.socket, blob, goal, elsewhere)
  expect({ wanted, ...denied }).toEqual({ wanted, ...(wanted.confirm ? nothing : allowed) })
}

const { extension } = constraint
const destinations = 'restrict-destination-v00@openssh.com'

/** What is not enforced, or says nothing that could be. */
const refused: Readonly<Record<string, Buffer>> = {
  'number 0': Buffer.from([0]),
  'number 3, which once counted signatures': Buffer.concat([Buffer.from([3]), uint32(5)]),
  'number 254': Buffer.from([254]),
  'an extension of a stranger': extension('only-on-mondays@shop.example', string('')),
  'an extension without a name': extension(''),
  'certificates of a card': extension('associated-certs-v00@openssh.com', Buffer.from([1]), string('')),
  'the provider of a token': extension('sk-provider@openssh.com', string('internal')),
  'destinations of a later version': extension('restrict-destination-v01@openssh.com', string('')),
  'the name of destinations in capitals': extension(destinations.toUpperCase(), string('')),
  'the name of destinations, and a zero byte': extension(`${destinations}\0`, string('')),
  'destinations that are none': extension(destinations, string('')),
  'a destination without a host': extension(destinations, string(string(Buffer.alloc(36)))),
  'a lifetime of nothing': constraint.lifetime(0),
  'a lifetime twice': Buffer.concat([constraint.lifetime(60), constraint.lifetime(90)]),
  'confirm twice': Buffer.concat([constraint.confirm(), constraint.confirm()]),
  'destinations twice': Buffer.concat([constraint.goal(goal), constraint.goal(goal)]),
  'idle twice': Buffer.concat([constraint.idle(60), constraint.idle(60)]),
  'an idle time of nothing': constraint.idle(0),
  // At the end only: what follows would complete them.
  ...Object.fromEntries(
    [1, 3].map(bytes => [`a lifetime cut after ${bytes} bytes`, constraint.lifetime(60).subarray(0, bytes)]),
  ),
  'an extension that is cut short': constraint.goal(goal).subarray(0, -1),
}

describe('refused, and the key with it', () => {
  let world: SuiteWorld
  let client: RawClient

  beforeAll(async () => {
    world = await openSuiteWorld(ownSuite())
  })
  afterAll(() => world.dispose())
  beforeEach(async () => {
    client = await connectRaw(world.agent.socket)
    await client.ask(19)
  })
  afterEach(() => client.destroy())

  /** Alone, and before and after every combination of what is enforced. */
  function among(bytes: Buffer): Buffer[] {
    return subsetsOf(open).flatMap(wanted => {
      const others = encodeWanted(wanted)
      return [Buffer.concat([others, bytes]), Buffer.concat([bytes, others])]
    })
  }

  test.each(Object.entries(refused))('%s', async (_, bytes) => {
    const { blob, body } = makeRawKey('kept')
    for (const constraints of among(bytes)) {
      expect(await client.ask(ADD_CONSTRAINED, body, constraints)).toEqual(Buffer.from([FAILURE]))
    }
    expect(await listKeys(world.agent.socket)).toEqual([])

    // A key that is there already stays as it is.
    expect((await client.ask(ADD_CONSTRAINED, body, constraint.goal(goal)))[0]).toBe(SUCCESS)
    const before = await listKeys(world.agent.socket)
    for (const constraints of among(bytes)) {
      expect((await client.ask(ADD_CONSTRAINED, body, constraints))[0]).toBe(FAILURE)
    }
    expect(await listKeys(world.agent.socket)).toEqual(before)
    expect(await trySigning(world.agent.socket, blob, goal, elsewhere)).toEqual({ ...nothing, there: true })
  })

  test.each(Object.entries(refused))('with an encrypted file, too: %s', async (_, bytes) => {
    const file = join(world.home.ssh, 'encrypted')
    if (!(await readFile(file).catch(() => undefined))) await makeKey(world, file, 'sesame')
    const add = (constraints: Buffer) => {
      const fields = [bytesOfFile, string('kept'), string(constraints), string('')]
      return client.ask(EXTENSION, string('add-sealed@keytool'), ...fields)
    }
    const bytesOfFile = string(await readFile(file))
    for (const constraints of among(bytes)) expect((await add(constraints))[0]).toBe(28)
    expect(await listKeys(world.agent.socket)).toEqual([])
    // The message is right but for them.
    expect((await add(encodeWanted(kept)))[0]).toBe(SUCCESS)
    expect(await listKeys(world.agent.socket)).toMatchObject([{ state: 'sealed', lifetime: LIFETIME, idle: IDLE }])
  })

  test('idle, of a key without an encrypted file: with whatever else', async () => {
    const { body } = makeRawKey('kept')
    for (const constraints of among(constraint.idle(IDLE))) {
      expect((await client.ask(ADD_CONSTRAINED, body, constraints))[0]).toBe(FAILURE)
    }
    expect(await listKeys(world.agent.socket)).toEqual([])
  })

  test('constraints behind a message that has none', async () => {
    const { body } = makeRawKey('kept')
    for (const wanted of subsetsOf(open).slice(1)) {
      expect((await client.ask(ADD, body, encodeWanted(wanted)))[0]).toBe(FAILURE)
    }
    expect(await listKeys(world.agent.socket)).toEqual([])
  })

  test('a card, under whatever', async () => {
    for (const wanted of subsetsOf(open)) {
      const card = [string('/nonexistent.so'), string('1234'), encodeWanted(wanted)]
      expect((await client.ask(ADD_CARD_CONSTRAINED, ...card))[0]).toBe(FAILURE)
    }
    expect(await listKeys(world.agent.socket)).toEqual([])
  })
})
