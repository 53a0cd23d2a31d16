import { chmod, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { jest } from '@jest/globals'
import { until } from './agent-askpass.js'
import { leaveHome, type OurAgent, startOurAgent } from './agent-fixture.js'
import { makeKey, succeed, writePolicy as writePolicyText } from './agent-hosts.js'
import { expectRefused } from './cli-fixture.js'
import { type Home, temporaryHome } from './world/home.js'
import { peerPath } from './world/peers.js'
import { type RunResult, run } from './world/run.js'

// agent.json as a file: what is no policy is followed by nobody, and what changes counts soon.

jest.setTimeout(120_000)

/** A folder tells at once; what it does not tell of is looked at every five seconds. In milliseconds. */
const PATIENCE = 25_000

/** Holds the key's file. */
let store: Home
let home: Home
let agent: OurAgent | undefined

beforeAll(async () => {
  store = await temporaryHome()
  await makeKey(file('work'))
})
afterAll(() => store.dispose())

beforeEach(async () => {
  home = await temporaryHome()
  agent = undefined
})

afterEach(async () => {
  try {
    await agent?.stop()
  } finally {
    await leaveHome(home)
  }
})

const file = (name: string) => join(store.ssh, name)
const writePolicy = (members: object) => writePolicyText(home, JSON.stringify({ version: 1, ...members }))
const env = () => agent?.env ?? home.env
const sshAdd = (...args: string[]): Promise<RunResult> => run(peerPath('ssh-add'), args, { env: env() })
const signsData = async (name: string) => (await sshAdd('-T', `${file(name)}.pub`)).status === 0

async function start(policy: object): Promise<void> {
  await writePolicy(policy)
  agent = await startOurAgent(home)
}

async function troubles(): Promise<string[]> {
  return JSON.parse(await succeed(env(), ['agent', 'status', '--json'])).troubles
}

describe('a file that can’t be followed', () => {
  const broken: readonly (readonly [what: string, text: string, status: number, says: RegExp])[] = [
    ['is no JSON', '{\n  "version": 1,\n  "keys": [}\n}\n', 6, /agent\.json: line 3 is no JSON/],
    ['is cut off', '{\n  "version": 1,\n', 6, /agent\.json: line \d is no JSON/],
    ['is empty', '', 6, /agent\.json: line 1 is no JSON/],
    ['has no version', '{}', 6, /agent\.json: version is missing/],
    ['is of a newer version', '{ "version": 2, "new": true }', 6, /agent\.json: it has version 2/],
    ['has a member too many', '{ "version": 1, "lerne": false }', 6, /agent\.json: there is no member "lerne"/],
    ['has a member of the wrong kind', '{ "version": 1, "ledger": "no" }', 6, /ledger is neither true nor false/],
    ['names a key by nothing', '{ "version": 1, "keys": [{ "confirm": true }] }', 6, /keys\[0\] names no key/],
    ['has a lifetime of none', '{ "version": 1, "lifetime": 0 }', 6, /lifetime is no number of seconds/],
    ['has an empty list', '{ "version": 1, "keys": [{ "file": "~/k", "hosts": [] }] }', 6, /keys\[0\]\.hosts is empty/],
  ]

  test.each(broken)('that %s: the agent does not start', async (_, text, status, says) => {
    const path = await writePolicyText(home, text)
    const code = text.includes('"new"') ? 'unsupported' : 'damaged'
    await expectRefused(home, ['agent'], { status, code, says })
    expect(await readFile(path, 'utf8')).toBe(text)
  })

  test('that others may write: the agent does not start', async () => {
    await chmod(await writePolicy({}), 0o666)
    await expectRefused(home, ['agent'], { status: 4, code: 'refused', says: /others may write it/ })
  })

  test.each(broken)(
    'that %s, while it runs: the old one goes on, status says so, and a good one heals it',
    async (_, text, _status, says) => {
      await start({ keys: [{ file: file('work'), hosts: ['gate.example'] }] })
      await sshAdd('-q', file('work'))
      expect(await troubles()).toEqual([])
      await writePolicyText(home, text)
      // What is written in place is empty for a moment, which is a trouble too: ours is the one it ends with.
      await until('the trouble', async () => (await troubles()).some(trouble => says.test(trouble)), PATIENCE)
      expect(await troubles()).toEqual([expect.stringMatching(says)])
      expect(await signsData('work')).toBe(false)
      await writePolicy({})
      await until('the end of it', async () => (await troubles()).length === 0, PATIENCE)
      expect(await signsData('work')).toBe(true)
    },
  )
})

describe('a change counts within seconds', () => {
  const strict = { unknownData: 'never' }
  const changes: readonly (readonly [how: string, change: (path: string) => Promise<unknown>])[] = [
    ['written in place', path => writeFile(path, JSON.stringify({ version: 1, ...strict }))],
    [
      'put in its place',
      async path => {
        await writeFile(`${path}.new`, JSON.stringify({ version: 1, ...strict }), { mode: 0o600 })
        await rename(`${path}.new`, path)
      },
    ],
    [
      'a link, and what it leads to changed',
      async path => {
        const real = join(home.path, 'dotfiles.json')
        await writeFile(real, 'not yet', { mode: 0o600 })
        await rm(path)
        await symlink(real, path)
        await until('what it leads to', async () => (await troubles()).length > 0, PATIENCE)
        await writeFile(real, JSON.stringify({ version: 1, ...strict }))
      },
    ],
  ]

  test.each(changes)('%s', async (_, change) => {
    await start({})
    await sshAdd('-q', file('work'))
    expect(await signsData('work')).toBe(true)
    const path = join(home.path, '.config', 'keytool', 'agent.json')
    await change(path)
    await until('the new policy', async () => !(await signsData('work')), PATIENCE)
    // Without a file it is as if there had never been one.
    await rm(path)
    await until('no policy', () => signsData('work'), PATIENCE)
    expect(await troubles()).toEqual([])
  })

  test('a key that was removed after its rule was written stays away; one whose rule came after that is held', async () => {
    agent = await startOurAgent(home)
    const [gone, held, missing] = ['gone', 'held', 'missing'].map(name => join(home.path, name)) as [
      string,
      string,
      string,
    ]
    for (const path of [gone, held]) {
      await makeKey(path, '-N', 'secret')
      await succeed(env(), ['add', '--sealed', path])
    }
    await sshAdd('-q', '-d', held)
    await writePolicy({ keys: [gone, held, missing].map(path => ({ file: path, atLogin: true })) })
    // Nobody tells the agent of a folder that is made: it looks every few seconds.
    await sshAdd('-q', '-d', gone)
    await until('the rules', async () => (await troubles()).some(trouble => trouble.includes(missing)), PATIENCE)
    expect(JSON.parse(await succeed(env(), ['list', '--json']))).toMatchObject([{ comment: 'held' }])
  })

  test('where there was no file, nor a folder for it', async () => {
    agent = await startOurAgent(home)
    await sshAdd('-q', file('work'))
    expect(await signsData('work')).toBe(true)
    await writePolicy(strict)
    await until('the new policy', async () => !(await signsData('work')), PATIENCE)
  })
})
