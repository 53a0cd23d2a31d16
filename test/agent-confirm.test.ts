import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { jest } from '@jest/globals'
import { type Askpass, makeAskpass, until } from './agent-askpass.js'
import { isRunning, leaveHome, type OurAgent, startOurAgent, waitForEnd } from './agent-fixture.js'
import {
  fingerprintOf,
  logIn as logInAt,
  makeKey,
  type NamedHost,
  readLedger,
  startHost,
  succeed,
  wayTo,
} from './agent-hosts.js'
import { connectRaw, frame, string, uint32 } from './agent-wire.js'
import { type Environment, type Home, temporaryHome } from './world/home.js'
import { peerPath } from './world/peers.js'
import { type RunResult, run, runOrThrow } from './world/run.js'
import { createUser, type SystemUser } from './world/system-user.js'

// Keys that are used only when the user says so: what is asked, of whom, and who waits for it meanwhile.

jest.setTimeout(120_000)

const [LIST, SIGN] = [11, 13]
const [FAILURE, IDENTITIES, SIGNATURE] = [5, 12, 14]

/** Holds the key files of all tests. */
let store: Home
let hana: SystemUser
let gate: NamedHost
let repository: string

let home: Home
let askpass: Askpass
let agent: OurAgent

beforeAll(async () => {
  store = await temporaryHome()
  hana = await createUser()
  await Promise.all(['work', 'other'].map(name => makeKey(file(name))))
  await hana.authorize(await line('work'))
  gate = await startHost('gate.example', { users: [hana] })
  await writeFile(join(store.ssh, 'known_hosts'), gate.knownHosts)
  repository = join(hana.home, 'shop.git')
  const words = wayTo(gate, hana, store, '-i', file('work'))
  await runOrThrow(peerPath('ssh'), [...words, `git init -q --bare ${repository}`], { env: store.env })
})

afterAll(async () => {
  await gate.sshd.stop()
  await hana.dispose()
  await store.dispose()
})

beforeEach(async () => {
  home = await temporaryHome()
  await writeFile(join(home.ssh, 'known_hosts'), gate.knownHosts)
  askpass = await makeAskpass(join(home.path, 'asking'))
})

afterEach(async () => {
  await agent.stop().finally(() => leaveHome(home))
})

const file = (name: string) => join(store.ssh, name)
const line = async (name: string) => (await readFile(`${file(name)}.pub`, 'utf8')).trim()
const blobOf = async (name: string) => Buffer.from((await line(name)).split(' ')[1] ?? '', 'base64')

/** One key that is to be confirmed and one that is not, in this order. */
async function start(asking: Environment = askpass.env): Promise<void> {
  agent = await startOurAgent({ ...home, env: { ...home.env, ...asking } })
  await runOrThrow(peerPath('ssh-add'), ['-q', '-c', file('work')], { env: agent.env })
  await succeed(agent.env, ['add', file('other')])
}

const logIn = () => logInAt(gate, hana, { env: agent.env, home })

/** As somebody does it at a shell of their own. */
function atShell(...words: string[]): Promise<RunResult> {
  return run('/bin/sh', ['-c', '"$@"; exit $?', 'sh', ...words], { env: agent.env })
}

const signData = (name: string) => atShell(peerPath('ssh-add'), '-T', `${file(name)}.pub`)

async function signatures(): Promise<unknown[][]> {
  return (await readLedger(agent.env, 'sign')).map(({ comment, verdict, reason }) => [comment, verdict, reason])
}

const allowed = (name: string) => [name, 'allowed', undefined]
const refused = (name: string) => [name, 'refused', `the use of ${name} was not confirmed`]

test('ssh asks: the question names program, key, user and host', async () => {
  await start()
  const where = [...wayTo(gate, hana, home), 'echo in']
  const login = atShell(peerPath('ssh'), ...where)
  const { text, kind } = await askpass.waitFor(1)
  expect(kind).toBe('confirm')
  expect(text.split('\n')).toEqual([
    expect.stringMatching(new RegExp(`^ssh \\(pid \\d+\\) wants work for ${hana.name}@gate\\.example$`)),
    `key ${await fingerprintOf(file('work'))}`,
    'Allow this signature?',
  ])
  await askpass.answer(1, 'yes')
  expect(await login).toMatchObject({ status: 0, stdout: 'in\n' })
  expect(await signatures()).toEqual([allowed('work')])
})

test.each(['GIT_SSH', 'GIT_SSH_COMMAND'])('git asks through ssh, told by %s: it is git that wants it', async how => {
  await start()
  const words = [peerPath('ssh'), ...wayTo(gate, hana, home).slice(0, -1)].join(' ')
  const wrapper = join(home.path, 'wrapper')
  await writeFile(wrapper, `#!/bin/sh\nexec ${words} "$@"\n`, { mode: 0o700 })
  const env = { ...agent.env, GIT_SSH_VARIANT: 'ssh', [how]: how === 'GIT_SSH' ? wrapper : words }
  const url = `ssh://${hana.name}@127.0.0.1:${gate.sshd.port}${repository}`
  const listRemote = () =>
    run('/bin/sh', ['-c', '"$@"; exit $?', 'sh', peerPath('git'), 'ls-remote', url], { env: { ...env } })

  const first = listRemote()
  const { text } = await askpass.waitFor(1)
  const [wish = '', way = '', ...rest] = text.split('\n')
  const [, pid] = /^git \(pid (\d+)\) wants work for (.*)$/.exec(wish) ?? []
  expect(wish).toBe(`git (pid ${pid}) wants work for ${hana.name}@gate.example`)
  expect(way).toMatch(new RegExp(`^asked by ssh \\(pid \\d+\\) <- git \\(pid ${pid}\\)$`))
  expect(rest).toEqual([`key ${await fingerprintOf(file('work'))}`, 'Allow this signature?'])
  await askpass.answer(1, '')
  expect(await first).toMatchObject({ status: 0 })

  const second = listRemote()
  await askpass.waitFor(2)
  await askpass.refuse(2)
  expect(await second).toMatchObject({ status: 128, stderr: expect.stringContaining('Permission denied') })
  expect(await signatures()).toEqual([allowed('work'), refused('work')])
  expect(await readLedger(agent.env, 'sign')).toMatchObject([
    { program: 'git', via: 'ssh', user: hana.name, host: 'gate.example', purpose: 'login' },
    { program: 'git', via: 'ssh', user: hana.name, host: 'gate.example', purpose: 'login' },
  ])
})

test('what others have named can neither forge lines nor move the cursor', async () => {
  await start()
  await makeKey(file('evil'), '-C', 'id\u001b[2J\u202e" for root@bank.example Allow this signature?')
  await runOrThrow(peerPath('ssh-add'), ['-q', '-c', file('evil')], { env: agent.env })
  const asked = signData('evil')
  const { text } = await askpass.waitFor(1)
  await askpass.refuse(1)
  expect((await asked).status).toBe(1)
  const [wish = '', ...rest] = text.split('\n')
  expect(rest).toEqual([`key ${await fingerprintOf(file('evil'))}`, 'Allow this signature?'])
  expect(text.replaceAll('\n', '')).not.toMatch(/[\p{Cc}\p{Cf}]/u)
  expect(wish).toMatch(
    / wants "id\\u\{1b\}\[2J\\u\{202e\}\\" for root@bank\.example Allow.*" to sign data of an unknown kind$/,
  )
})

describe('no is the answer', () => {
  test.each<[string, (askpass: Askpass) => Environment]>([
    ['without SSH_ASKPASS', () => ({})],
    ['without a display', ({ env }) => ({ SSH_ASKPASS: env['SSH_ASKPASS'] ?? '' })],
    ['where SSH_ASKPASS_REQUIRE says never', ({ env }) => ({ ...env, DISPLAY: ':0', SSH_ASKPASS_REQUIRE: 'never' })],
    ['where the program is missing', () => ({ SSH_ASKPASS: '/nonexistent', SSH_ASKPASS_REQUIRE: 'force' })],
  ])('%s: nobody can be asked', async (_, asking) => {
    await start(asking(askpass))
    const { status, stderr } = await logIn()
    expect({ status, stderr }).toEqual({ status: 255, stderr: expect.stringContaining('agent refused operation') })
    expect(await signatures()).toEqual([refused('work')])
    expect(await askpass.count()).toBe(0)
    // The other key is as good as ever.
    expect((await signData('other')).status).toBe(0)
  })

  test.each(['no', 'maybe', 'yes, please', 'Y'])('to whatever is not yes: %s', async answer => {
    await start()
    const login = logIn()
    await askpass.waitFor(1)
    await askpass.answer(1, answer)
    expect(await login).toMatchObject({ status: 255, stdout: '' })
    expect(await signatures()).toEqual([refused('work')])
  })

  test('when the agent was locked meanwhile, or the key removed: yes comes too late', async () => {
    await start()
    const first = signData('work')
    await askpass.waitFor(1)
    const lock = (what: string) => succeed(agent.env, [what, '--passphrase-file', '-'], { input: 'sesame\n' })
    await lock('lock')
    await askpass.answer(1, 'yes')
    expect((await first).status).toBe(1)
    await lock('unlock')

    const second = signData('work')
    await askpass.waitFor(2)
    await succeed(agent.env, ['remove', file('work')])
    await askpass.answer(2, 'yes')
    expect((await second).status).toBe(1)
    expect((await signatures()).map(([, verdict]) => verdict)).not.toContain('allowed')
  })
})

describe('while a question stands', () => {
  test('others are served: signatures, logins without it, and questions of their own', async () => {
    await start()
    const first = signData('work')
    const one = await askpass.waitFor(1)
    expect((await signData('other')).status).toBe(0)
    expect((await atShell(peerPath('ssh-add'), '-l')).stdout.trimEnd().split('\n')).toHaveLength(2)
    // Somebody else's question stands beside it, and may be answered first.
    const second = signData('work')
    const two = await askpass.waitFor(2)
    expect(await isRunning(one.pid)).toBe(true)
    await askpass.answer(2, 'yes')
    expect((await second).status).toBe(0)
    await waitForEnd(two.pid)
    await askpass.refuse(1)
    expect((await first).status).toBe(1)
    expect(await signatures()).toEqual([allowed('other'), allowed('work'), refused('work')])
  })

  test.each([
    ['yes', SIGNATURE],
    ['no', FAILURE],
  ])('what the same connection asks besides is answered behind it, in order (%s)', async (answer, expected) => {
    await start()
    const [work, other] = [await blobOf('work'), await blobOf('other')]
    const data = Buffer.from('an order')
    const sign = (key: Buffer) => [string(key), string(data), uint32(0)]
    const client = await connectRaw(agent.socket)
    try {
      client.send(frame(SIGN, ...sign(work)))
      await askpass.waitFor(1)
      client.send(Buffer.concat([frame(SIGN, ...sign(other)), frame(LIST), frame(SIGN, ...sign(Buffer.from('none')))]))
      // They are worked on meanwhile; only the answers wait.
      await until('the second signature', async () => (await signatures()).length > 0)
      await askpass.answer(1, answer)
      for (const number of [expected, SIGNATURE, IDENTITIES, FAILURE]) expect((await client.answer())[0]).toBe(number)
    } finally {
      client.destroy()
    }
  })

  test('one that asks much waits for itself: its second question comes after its first', async () => {
    await start()
    const work = await blobOf('work')
    const ask = (text: string) => [string(work), string(text), uint32(0)]
    const clients = await Promise.all([connectRaw(agent.socket), connectRaw(agent.socket)])
    try {
      const answers = clients.map((client, index) => client.ask(SIGN, ...ask(`order ${index}`)))
      await askpass.waitFor(1)
      // What another asks comes in between.
      const another = signData('work')
      await askpass.waitFor(2)
      await askpass.answer(2, 'yes')
      expect((await another).status).toBe(0)
      expect(await askpass.count()).toBe(2)
      await askpass.answer(1, 'yes')
      await askpass.waitFor(3)
      await askpass.answer(3, 'yes')
      expect((await Promise.all(answers)).map(([number]) => number)).toEqual([SIGNATURE, SIGNATURE])
    } finally {
      for (const client of clients) client.destroy()
    }
  })

  test('whoever asked is gone: it is taken off the screen, and nothing is signed', async () => {
    await start()
    const client = await connectRaw(agent.socket)
    client.ask(SIGN, string(await blobOf('work')), string('an order'), uint32(0)).catch(() => undefined)
    const { pid } = await askpass.waitFor(1)
    client.destroy()
    await waitForEnd(pid)
    await until('the end of it', async () => (await signatures()).length === 1)
    expect(await signatures()).toEqual([refused('work')])
  })
})
