import { access, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { jest } from '@jest/globals'
import { type Askpass, makeAskpass, until } from './agent-askpass.js'
import { leaveHome, type OurAgent, startOurAgent } from './agent-fixture.js'
import {
  fingerprintOf,
  logIn as logInAt,
  makeKey,
  type NamedHost,
  readLedger,
  startHost,
  succeed,
  wayFromThere,
  wayTo,
  writeFor,
  writePolicy as writePolicyText,
} from './agent-hosts.js'
import { expectRefused } from './cli-fixture.js'
import { type Environment, type Home, temporaryHome } from './world/home.js'
import { peerPath } from './world/peers.js'
import { type RunResult, run, runOrThrow } from './world/run.js'
import { createUser, type SystemUser } from './world/system-user.js'

// agent.json, member for member, with the programs that people use: what it allows, and what it refuses.

jest.setTimeout(120_000)

const PASSPHRASE = 'sesame'

/** Holds the key files of all tests. */
let store: Home
let hana: SystemUser
let gate: NamedHost
let inner: NamedHost

let home: Home
let agent: OurAgent | undefined

beforeAll(async () => {
  store = await temporaryHome()
  hana = await createUser()
  await Promise.all(['work', 'other', 'entry'].map(name => makeKey(file(name))))
  await makeKey(file('encrypted'), '-N', PASSPHRASE)
  await hana.authorize(...(await Promise.all(['work', 'other', 'entry', 'encrypted'].map(line))))
  ;[gate, inner] = await Promise.all([
    startHost('gate.example', { users: [hana] }),
    startHost('inner.example', { users: [hana] }),
  ])
  await writeFor(hana, join(hana.home, '.ssh', 'known_hosts'), gate.knownHosts + inner.knownHosts)
  await writeFor(hana, join(hana.home, 'fresh'), await readFile(file('other'), 'utf8'))
  await writeFor(hana, join(hana.home, 'work.pub'), await line('work'))
  await writeFor(hana, join(hana.home, 'ask'), `#!/bin/sh\necho ${PASSPHRASE}\n`, 0o700)
  await writeFile(join(store.path, 'ask'), `#!/bin/sh\necho ${PASSPHRASE}\n`, { mode: 0o700 })
})

afterAll(async () => {
  await Promise.all([gate, inner].map(({ sshd }) => sshd.stop()))
  await hana.dispose()
  await store.dispose()
})

beforeEach(async () => {
  home = await temporaryHome()
  agent = undefined
  await writeFile(join(home.ssh, 'known_hosts'), gate.knownHosts + inner.knownHosts)
})

afterEach(async () => {
  try {
    await agent?.stop()
  } finally {
    await leaveHome(home)
  }
})

const file = (name: string) => join(store.ssh, name)
const line = async (name: string) => (await readFile(`${file(name)}.pub`, 'utf8')).trim()
const writePolicy = (members: object) => writePolicyText(home, JSON.stringify({ version: 1, ...members }))
const env = () => agent?.env ?? home.env
const keytool = (...args: string[]) => succeed(env(), args)

async function start(policy: object, more: Environment = {}): Promise<void> {
  await writePolicy(policy)
  agent = await startOurAgent({ ...home, env: { ...home.env, ...more } })
}

const logIn = (host: NamedHost, command?: string, ...options: string[]) =>
  logInAt(host, hana, { env: env(), home, options, ...(command !== undefined && { command }) })

/** Goes to the gate with a key's file, the agent behind it, and has the shell there do something. */
const fromGate = (command: string) => logIn(gate, command, '-A', '-i', file('entry'), '-o', 'IdentitiesOnly=yes')

function sshAdd(...args: string[]): Promise<RunResult> {
  const asks = { SSH_ASKPASS: join(store.path, 'ask'), SSH_ASKPASS_REQUIRE: 'force' }
  return run(peerPath('ssh-add'), args, { env: { ...env(), ...asks } })
}

const signsData = async (name: string) => (await sshAdd('-T', `${file(name)}.pub`)).status === 0

async function listed(): Promise<Record<string, unknown>[]> {
  return JSON.parse(await keytool('list', '--json'))
}

async function troubles(): Promise<string[]> {
  return JSON.parse(await keytool('agent', 'status', '--json')).troubles
}

async function refusals(): Promise<unknown[]> {
  const entries = await readLedger(env(), 'sign', 'add', 'remove', 'remove-all', 'lock')
  return entries.filter(({ verdict }) => verdict === 'refused').map(({ reason }) => reason)
}

describe('hosts', () => {
  const isIn = { status: 0, stdout: 'in\n' }

  test.each([['gate.example'], ['g*.example'], ['nowhere.example', 'gate.exampl?']])(
    '%j: there it logs in; at another host it is not even offered; and it signs nothing else',
    async (...hosts) => {
      await start({ keys: [{ file: file('work'), hosts }] })
      // ssh-add says nothing of a file: the rule knows the key by what the file shows.
      await sshAdd('-q', file('work'))
      expect(await logIn(gate)).toMatchObject(isIn)
      const past = await logIn(inner, 'echo in', '-v')
      expect({ status: past.status, offered: past.stderr.includes('Offering public key') }).toEqual({
        status: 255,
        offered: false,
      })
      expect(await signsData('work')).toBe(false)
      const sshsig = ['-q', '-Y', 'sign', '-n', 'file', '-f', `${file('work')}.pub`]
      expect((await run(peerPath('ssh-keygen'), sshsig, { env: env(), input: 'order' })).status).not.toBe(0)
      const reasons = await refusals()
      expect(reasons).toHaveLength(2)
      for (const reason of reasons) expect(reason).toBe(`work is only for logins to ${hosts.join(', ')}`)
    },
  )

  test('through a forwarded agent the last host counts', async () => {
    await start({ keys: [{ file: file('work'), hosts: ['inner.example'] }] })
    await sshAdd('-q', file('work'))
    expect(await fromGate(`ssh-add -l; ${wayFromThere(inner, hana)} 'echo further in'`)).toMatchObject({
      stdout: 'The agent has no identities.\nfurther in\n',
    })
    expect(await fromGate(wayFromThere(gate, hana))).toMatchObject({ status: 255 })
  })

  test('a rule names the key by its fingerprint just as well, and only that key', async () => {
    await start({ keys: [{ fingerprint: await fingerprintOf(file('work')), hosts: ['inner.example'] }] })
    await sshAdd('-q', file('work'), file('other'))
    expect(await signsData('work')).toBe(false)
    expect(await signsData('other')).toBe(true)
    const { stdout } = await fromGate('ssh-add -l')
    expect(stdout).toMatch(/^256 SHA256:\S+ other .*\n$/)
  })
})

test.each([['git'], [peerPath('git')]])('programs: %s logs in with it, ssh alone does not', async program => {
  await start({ keys: [{ file: file('work'), programs: [program] }] })
  await sshAdd('-q', file('work'))
  expect(await logIn(gate)).toMatchObject({ status: 255, stdout: '' })
  expect(await signsData('work')).toBe(false)
  expect(await refusals()).toEqual([`work is only for ${program}`])
  const words = wayTo(gate, hana, home).slice(0, -1)
  const wrapper = join(home.path, 'ssh')
  await writeFile(wrapper, `#!/bin/sh\nexec ${[peerPath('ssh'), ...words].join(' ')} "$@"\n`, { mode: 0o700 })
  const path = join(hana.home, `${program.replaceAll('/', '-')}.git`)
  await runOrThrow(peerPath('ssh'), [...wayTo(gate, hana, home, '-i', file('entry')), `git init -q --bare ${path}`])
  // From a shell, as people start it: what leads a session is not told.
  const url = `ssh://${hana.name}@127.0.0.1:${gate.sshd.port}${path}`
  const git = await run('/bin/sh', ['-c', '"$@"; exit $?', 'sh', peerPath('git'), 'ls-remote', url], {
    env: { ...env(), GIT_SSH: wrapper, GIT_SSH_VARIANT: 'ssh' },
  })
  expect({ status: git.status, stderr: git.status === 0 ? '' : git.stderr }).toEqual({ status: 0, stderr: '' })
})

describe('lifetime and idle', () => {
  test('of the key’s rule, of all others, and of two limits the shorter', async () => {
    await start({ lifetime: 7200, keys: [{ file: file('work'), lifetime: 600 }] })
    await keytool('add', file('work'))
    await keytool('add', '-t', '3h', file('other'))
    await sshAdd('-q', '-t', '60', file('entry'))
    expect((await listed()).map(({ comment, lifetime }) => [comment, lifetime])).toEqual([
      ['work', 600],
      ['other', 7200],
      ['entry', 60],
    ])
    await sshAdd('-q', '-t', '1h', file('work'))
    expect((await listed())[0]).toMatchObject({ comment: 'work', lifetime: 600 })
  })

  test('a lifetime ends', async () => {
    await start({ keys: [{ file: file('work'), lifetime: 1 }] })
    await sshAdd('-q', file('work'), file('other'))
    await until('the end of it', async () => (await listed()).length === 1)
    expect(await listed()).toMatchObject([{ comment: 'other' }])
    expect(await readLedger(env(), 'expire')).toMatchObject([{ comment: 'work' }])
  })

  test('idle seals what can be sealed, and leaves what can not', async () => {
    await start({ idle: 3600, keys: [{ file: file('encrypted'), idle: 1 }] })
    const secret = join(home.path, 'secret')
    await writeFile(secret, `${PASSPHRASE}\n`, { mode: 0o600 })
    await keytool('add', '--passphrase-file', secret, file('encrypted'))
    await keytool('add', file('work'))
    await until('sealing', async () => (await listed())[0]?.['state'] === 'sealed')
    expect(await listed()).toMatchObject([{ idle: 1 }, { comment: 'work', state: 'open' }])
    expect(await readLedger(env(), 'seal')).toMatchObject([{ comment: 'encrypted', reason: 'it was idle' }])
  })
})

describe('confirm', () => {
  let askpass: Askpass
  beforeEach(async () => {
    askpass = await makeAskpass(join(home.path, 'questions'))
  })

  test('of one key: asked at each use of it, and of no other', async () => {
    await start({ keys: [{ file: file('work'), confirm: true }] }, askpass.env)
    await sshAdd('-q', file('work'), file('other'))
    const asked = signsData('work')
    await askpass.waitFor(1)
    expect(await signsData('other')).toBe(true)
    await askpass.answer(1, 'yes')
    expect(await asked).toBe(true)
    const again = signsData('work')
    await askpass.waitFor(2)
    await askpass.refuse(2)
    expect(await again).toBe(false)
    expect(await askpass.count()).toBe(2)
    expect(await refusals()).toEqual(['the use of work was not confirmed'])
  })

  test('of all, and of one not', async () => {
    await start({ confirm: true, keys: [{ file: file('other'), confirm: false }] }, askpass.env)
    await sshAdd('-q', file('work'), file('other'))
    expect(await listed()).toMatchObject([{ confirm: true }, { confirm: false }])
    expect(await signsData('other')).toBe(true)
    const asked = signsData('work')
    await askpass.waitFor(1)
    await askpass.refuse(1)
    expect(await asked).toBe(false)
    expect(await askpass.count()).toBe(1)
  })

  test('counts for a key that was there before', async () => {
    await start({}, askpass.env)
    await sshAdd('-q', file('work'))
    expect(await signsData('work')).toBe(true)
    await writePolicy({ confirm: true })
    await until('a question', async () => {
      const asked = signsData('work')
      const isAsked = await Promise.race([asked.then(() => false), askpass.waitFor(1).then(() => true)])
      if (isAsked) await askpass.refuse(1)
      return (await asked) === false && isAsked
    })
  })
})

test('unknownData: never signs logins and SSHSIG still', async () => {
  await start({ unknownData: 'never' })
  await sshAdd('-q', file('work'))
  expect(await signsData('work')).toBe(false)
  expect(await logIn(gate)).toMatchObject({ status: 0, stdout: 'in\n' })
  const sshsig = ['-q', '-Y', 'sign', '-n', 'file', '-f', `${file('work')}.pub`]
  expect(await run(peerPath('ssh-keygen'), sshsig, { env: env(), input: 'order' })).toMatchObject({
    status: 0,
    stdout: expect.stringContaining('BEGIN SSH SIGNATURE'),
  })
  expect(await refusals()).toEqual(['only logins and SSHSIG are signed'])
})

describe('forwarded', () => {
  const words = {
    add: 'ssh-add -q fresh',
    remove: 'ssh-add -q -d work.pub',
    lock: 'SSH_ASKPASS=./ask SSH_ASKPASS_REQUIRE=force ssh-add -x',
  }

  test.each(['add', 'remove', 'lock'] as const)('%s: true allows that, and no more', async allowed => {
    await start({ forwarded: { [allowed]: true } })
    await sshAdd('-q', file('work'))
    // Last of all the one that would get in the others' way.
    const order = (['add', 'remove', 'lock'] as const).toSorted(
      (one, two) => Number(one === allowed) - Number(two === allowed),
    )
    const { stdout } = await fromGate(order.map(each => `${words[each]}; echo ${each} $?`).join('; '))
    expect(stdout).toBe(order.map(each => `${each} ${each === allowed ? 0 : 1}\n`).join(''))
    const shown = (await sshAdd('-l')).stdout
    expect(['work', 'other'].filter(name => shown.includes(` ${name} `))).toEqual(
      { add: ['work', 'other'], remove: [], lock: [] }[allowed],
    )
    if (allowed === 'lock') expect((await sshAdd('-X')).status).toBe(0)
    expect(await refusals()).toHaveLength(2)
  })
})

describe('what is written', () => {
  const state = () => join(home.path, '.local', 'state', 'keytool')
  const isThere = (name: string) =>
    access(join(state(), name)).then(
      () => true,
      () => false,
    )

  test('ledger: false writes none, and its return begins one', async () => {
    await start({ ledger: false })
    await sshAdd('-q', file('work'))
    expect(await signsData('work')).toBe(true)
    expect(await isThere('ledger')).toBe(false)
    // Written a little later; what a refusal leaves alone is compared with what was there.
    await until('the keys on disk', () =>
      access(join(home.runtime, 'keytool', 'agent.keys')).then(
        () => true,
        () => false,
      ),
    )
    await expectRefused({ ...home, env: env() }, ['log'], { status: 3, code: 'not-found' })
    await writePolicy({ ledger: true })
    await until('the ledger', () => isThere('ledger'))
    await until('an entry', async () => {
      expect(await signsData('work')).toBe(true)
      return (await readLedger(env(), 'sign')).length > 0
    })
    expect(await keytool('log', '--verify')).toContain('the ledger is whole')
  })

  test('learn: false writes no order, and its return begins one', async () => {
    await start({ learn: false })
    await sshAdd('-q', file('work'))
    expect(await logIn(gate)).toMatchObject({ status: 0 })
    await writePolicy({ learn: true })
    await until('the order', async () => {
      expect(await logIn(gate)).toMatchObject({ status: 0 })
      return isThere('order.json')
    })
  })
})

describe('at login', () => {
  const policy = async () => JSON.parse(await readFile(join(home.path, '.config', 'keytool', 'agent.json'), 'utf8'))

  test('add --at-login writes the rule; an agent that starts lists the key, sealed, and asks when it is used', async () => {
    agent = await startOurAgent(home)
    const key = join(home.ssh, 'id_work')
    await makeKey(key, '-N', PASSPHRASE, '-C', 'hana@work')
    await hana.authorize(await readFile(`${key}.pub`, 'utf8'))
    await keytool('add', '--at-login', '--idle', '10m', '-t', '8h', key)
    const rule = {
      file: '~/.ssh/id_work',
      fingerprint: await fingerprintOf(key),
      atLogin: true,
      idle: 600,
      lifetime: 28_800,
    }
    expect(await policy()).toEqual({ version: 1, keys: [rule] })
    expect(await listed()).toMatchObject([{ comment: 'hana@work', state: 'sealed' }])
    // Once more: one rule still, with what is new in it.
    await keytool('add', '--at-login', '-c', key)
    expect(await policy()).toEqual({ version: 1, keys: [{ ...rule, confirm: true }] })
    await writePolicy({ keys: [rule], ledger: true })
    await agent.stop()

    const askpass = await makeAskpass(join(home.path, 'questions'))
    agent = await startOurAgent({ ...home, env: { ...home.env, ...askpass.env } })
    expect(await listed()).toMatchObject([
      {
        fingerprint: rule.fingerprint,
        comment: 'hana@work',
        state: 'sealed',
        lifetime: 28_800,
        idle: 600,
        confirm: false,
        origin: 'file',
      },
    ])
    const login = logIn(gate)
    expect((await askpass.waitFor(1)).text).toContain(`wants hana@work for ${hana.name}@gate.example`)
    await askpass.answer(1, PASSPHRASE)
    expect(await login).toMatchObject({ status: 0, stdout: 'in\n' })
    expect(await listed()).toMatchObject([{ state: 'open' }])
  })

  test('rules that were there stay as they are', async () => {
    const old = { keys: [{ file: file('other'), hosts: ['gate.example'] }], learn: false }
    await start(old)
    await keytool('add', '--at-login', file('encrypted'))
    expect(await policy()).toEqual({
      version: 1,
      ...old,
      keys: [
        ...old.keys,
        { file: file('encrypted'), fingerprint: await fingerprintOf(file('encrypted')), atLogin: true },
      ],
    })
  })

  test('a rule that is written by hand counts while the agent runs, too', async () => {
    await start({})
    await writePolicy({ keys: [{ file: file('encrypted'), atLogin: true }] })
    await until('the key', async () => (await listed()).length === 1)
    expect(await listed()).toMatchObject([{ comment: 'encrypted', state: 'sealed' }])
  })

  test('a key that is missing, and one that is not encrypted, are said, and hold up nothing', async () => {
    await start({
      keys: [
        { file: join(home.ssh, 'gone'), atLogin: true },
        { file: file('work'), atLogin: true },
        { file: file('encrypted'), atLogin: true },
      ],
    })
    expect(await listed()).toMatchObject([{ comment: 'encrypted', state: 'sealed' }])
    const said = (await troubles()).join('\n')
    expect(said).toContain(`${join(home.ssh, 'gone')} is not held`)
    expect(said).toContain(`${file('work')} is not held`)
    expect(said).not.toContain('encrypted is not held')
  })
})
