import { access, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { jest } from '@jest/globals'
import { leaveHome, type OurAgent, startOurAgent } from './agent-fixture.js'
import {
  fingerprintOf,
  logIn as logInAt,
  makeKey,
  type NamedHost,
  startHost,
  succeed,
  writePolicy,
} from './agent-hosts.js'
import { type Home, temporaryHome } from './world/home.js'
import { peerPath } from './world/peers.js'
import { residentKeytool } from './world/resident.js'
import { type RunResult, run } from './world/run.js'
import { createUser, type SystemUser } from './world/system-user.js'

// Twelve keys in the agent, a server that hears six, and a different one that it knows each time.

jest.setTimeout(120_000)

const MAX_TRIES = 6
const names = Array.from({ length: 12 }, (_, index) => `key${index + 1}`)

/** Holds the key files of all tests. */
let store: Home
/** Knows the key that was added last. */
let hana: SystemUser
/** Knows one from the middle. */
let olga: SystemUser
let strict: NamedHost
let other: NamedHost
/** Hears as many as there are. */
let patient: NamedHost

let home: Home
let agent: OurAgent

beforeAll(async () => {
  store = await temporaryHome()
  ;[hana, olga] = await Promise.all([createUser(), createUser()])
  await Promise.all(names.map(name => makeKey(file(name))))
  await hana.authorize(await line('key12'))
  await olga.authorize(await line('key7'))
  const config = (tries: number) => ({ users: [hana, olga], config: [`MaxAuthTries ${tries}`] })
  ;[strict, other, patient] = await Promise.all([
    startHost('strict.example', config(MAX_TRIES)),
    startHost('other.example', config(MAX_TRIES)),
    startHost('patient.example', config(names.length + 1)),
  ])
})

afterAll(async () => {
  await Promise.all([strict, other, patient].map(({ sshd }) => sshd.stop()))
  await hana.dispose()
  await olga.dispose()
  await store.dispose()
})

beforeEach(async () => {
  home = await temporaryHome()
  await writeFile(join(home.ssh, 'known_hosts'), strict.knownHosts + other.knownHosts)
})

afterEach(async () => {
  await agent.stop().finally(() => leaveHome(home))
})

const file = (name: string) => join(store.ssh, name)
const line = async (name: string) => (await readFile(`${file(name)}.pub`, 'utf8')).trim()
const learnt = () => join(home.path, '.local', 'state', 'keytool', 'order.json')

async function start(): Promise<void> {
  agent = await startOurAgent(home)
  await succeed(agent.env, ['add', ...names.map(file)])
}

interface Attempt extends Pick<RunResult, 'status'> {
  /** The comments of the keys that the client has offered. */
  readonly offered: readonly string[]
}

async function attempt(host: NamedHost, user: SystemUser): Promise<Attempt> {
  const { status, stderr } = await logInAt(host, user, { env: agent.env, home, options: ['-v'] })
  const offered = Array.from(stderr.matchAll(/Offering public key: (\S+) .* agent/g), ([, comment = '']) => comment)
  if (status !== 0) expect(stderr).toContain('Too many authentication failures')
  return { status, offered }
}

/** Tries until it gets in; one time too many at most. Returns the attempts. */
async function insist(host: NamedHost, user: SystemUser, most: number): Promise<Attempt[]> {
  const attempts: Attempt[] = []
  while (attempts.length <= most && attempts.at(-1)?.status !== 0) attempts.push(await attempt(host, user))
  return attempts
}

/** The lines of `keytool list --for`: comment and why. */
async function explain(host: string): Promise<string[]> {
  const lines = (await succeed(agent.env, ['list', '--for', host])).trimEnd().split('\n')
  return lines.map(each => each.replace(/^SHA256:\S+ /, ''))
}

test('whichever key it is, the login succeeds within three tries, and ever after at once', async () => {
  await start()
  const first = await insist(strict, hana, 3)
  expect(first.at(-1)).toMatchObject({ status: 0 })
  expect(first.length).toBeLessThanOrEqual(3)
  // All were tried meanwhile, the right one last.
  expect(new Set(first.flatMap(({ offered }) => offered))).toEqual(new Set(names))
  for (let again = 0; again < 2; again++) {
    expect(await attempt(strict, hana)).toEqual({ status: 0, offered: ['key12'] })
  }

  // Another host has an order of its own, which changes nothing at the first one.
  const second = await insist(other, olga, 3)
  expect(second.at(-1)).toMatchObject({ status: 0 })
  expect(await attempt(other, olga)).toEqual({ status: 0, offered: ['key7'] })
  expect(await attempt(strict, hana)).toEqual({ status: 0, offered: ['key12'] })
})

test('a second user of the same host gets in as well, and both go on to', async () => {
  await start()
  expect((await insist(strict, hana, 3)).at(-1)).toMatchObject({ status: 0 })
  expect((await insist(strict, olga, 3)).at(-1)).toMatchObject({ status: 0 })
  for (const user of [hana, olga, hana]) {
    const { status, offered } = await attempt(strict, user)
    expect({ status, few: offered.length <= 2 }).toEqual({ status: 0, few: true })
  }
})

test('it outlives the agent, in a file that names neither hosts nor keys', async () => {
  await start()
  expect((await insist(strict, hana, 3)).at(-1)).toMatchObject({ status: 0 })
  await agent.stop()
  const kept = await readFile(learnt(), 'utf8')
  expect(JSON.parse(kept)).toMatchObject({ version: 1 })
  const keys = [strict.knownHosts, ...(await Promise.all(names.map(line)))].join(' ').split(/\s+/)
  const words = keys.filter(each => each.startsWith('AAAA'))
  const prints = [...Object.values(strict.sshd.fingerprints), await fingerprintOf(file('key12'))]
  for (const secret of [...words, ...prints, 'example', 'key12', hana.name, '127.0.0.1', String(strict.sshd.port)]) {
    expect(kept).not.toContain(secret)
  }
  await start()
  expect(await attempt(strict, hana)).toEqual({ status: 0, offered: ['key12'] })
})

test('keytool list --for says in which order, and why', async () => {
  await start()
  expect(await explain('strict.example')).toEqual(names)
  // In vain: six that the host has heard.
  expect(await attempt(strict, hana)).toEqual({ status: 255, offered: names.slice(0, MAX_TRIES) })
  const inVain = names.slice(0, MAX_TRIES - 1).map(name => `${name}, it was offered there in vain`)
  expect((await explain('strict.example')).toSorted()).toEqual([...inVain, ...names.slice(MAX_TRIES - 1)].toSorted())
  // Asking is no attempt.
  expect(await explain('strict.example')).toEqual(await explain('strict.example'))

  expect((await insist(strict, hana, 3)).at(-1)).toMatchObject({ status: 0 })
  const [front, ...rest] = await explain('strict.example')
  expect(front).toBe('key12, it got in last time')
  expect(rest).toHaveLength(names.length - 1)
  const facts = JSON.parse(await succeed(agent.env, ['list', '--for', `${hana.name}@strict.example`, '--json']))
  expect(facts).toHaveLength(names.length)
  expect(facts[0]).toEqual({
    fingerprint: await fingerprintOf(file('key12')),
    comment: 'key12',
    why: 'it got in last time',
  })
  // Whoever was never there has heard nothing.
  expect(await explain('other.example')).toEqual(names)
  expect(await residentKeytool(['list', '--for', 'nowhere.example'], { env: agent.env })).toMatchObject({
    status: 3,
    stderr: expect.stringContaining('known_hosts has no key for nowhere.example'),
  })
})

test('a rule about hosts goes before all that is learnt, and hides the key elsewhere', async () => {
  await writePolicy(home, JSON.stringify({ version: 1, keys: [{ file: file('key7'), hosts: ['other.example'] }] }))
  await start()
  expect(await explain('other.example')).toEqual([
    'key7, its rule names the host',
    ...names.filter(name => name !== 'key7'),
  ])
  expect(await attempt(other, olga)).toEqual({ status: 0, offered: ['key7'] })
  expect(await explain('strict.example')).toEqual(names.filter(name => name !== 'key7'))
  expect((await attempt(strict, olga)).offered).not.toContain('key7')
})

test('plink says no host, and is offered first what it got in with last', async () => {
  await start()
  const plink = (host: NamedHost, user: SystemUser, ...more: string[]) => {
    const hostKeys = Object.values(host.sshd.fingerprints).flatMap(fingerprint => ['-hostkey', fingerprint])
    const how = ['-ssh', '-batch', '-agent', '-noshare', '-no-trivial-auth', '-v', ...hostKeys]
    const where = [...more, '-P', String(host.sshd.port), `${user.name}@127.0.0.1`]
    return run(peerPath('plink'), [...how, ...where, 'echo in'], { env: agent.env })
  }
  expect(await plink(strict, hana)).toMatchObject({ status: 1, stdout: '' })
  // With the patience of another server it finds the key.
  expect(await plink(patient, hana)).toMatchObject({ status: 0, stdout: 'in\n' })
  for (let again = 0; again < 2; again++) {
    const { status, stdout, stderr } = await plink(strict, hana)
    expect({ status, stdout, stderr }).toMatchObject({ status: 0, stdout: 'in\n' })
    expect(stderr.match(/Trying (?:agent|Pageant) key #(\d+)/gi)).toHaveLength(1)
  }
  // ssh has an order by host, which this does not touch.
  expect(await attempt(strict, hana)).toEqual({ status: 255, offered: names.slice(0, MAX_TRIES) })
})

test('learn: false learns nothing and writes no file', async () => {
  await writePolicy(home, '{ "version": 1, "learn": false }')
  await start()
  for (let again = 0; again < 3; again++) {
    expect(await attempt(strict, hana)).toEqual({ status: 255, offered: names.slice(0, MAX_TRIES) })
  }
  await writeFile(join(home.ssh, 'known_hosts'), patient.knownHosts)
  for (let again = 0; again < 2; again++) {
    expect(await attempt(patient, hana)).toEqual({ status: 0, offered: names })
  }
  expect(await explain('patient.example')).toEqual(names)
  await agent.stop()
  await expect(access(learnt())).rejects.toMatchObject({ code: 'ENOENT' })
  agent = await startOurAgent(home)
})
