import { randomBytes } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { jest } from '@jest/globals'
import { leaveHome, type OurAgent, startOurAgent } from './agent-fixture.js'
import {
  type BareHost,
  fingerprintOf,
  logIn as logInAt,
  loginData,
  makeBareHost,
  makeKey,
  type NamedHost,
  readLedger,
  startHost,
  succeed,
  wayFromThere,
  writeFor,
} from './agent-hosts.js'
import { connectRaw, type RawClient, string, uint32 } from './agent-wire.js'
import { type Home, temporaryHome } from './world/home.js'
import { peerPath } from './world/peers.js'
import { type RunResult, run, runOrThrow } from './world/run.js'
import { createUser, type SystemUser } from './world/system-user.js'

// `ssh -A` from host to host with our agent: what may be used where, and what may be done from there.

jest.setTimeout(120_000)

const PASSPHRASE = 'sesame'
const [FAILURE, SUCCESS, IDENTITIES, SIGNATURE, EXTENSION_FAILURE] = [5, 6, 12, 14, 28]
const [LIST, SIGN, OLD_REMOVE_ALL] = [11, 13, 9]
/** As ssh asks when it has a tty or not: nobody may be asked, so askpass answers. */
const FORCE_ASKPASS = { SSH_ASKPASS_REQUIRE: 'force', DISPLAY: 'none' }

/** Holds the key files of all tests. */
let store: Home
let hana: SystemUser
let olga: SystemUser
let gate: NamedHost
let inner: NamedHost
/** Its key is certified for this name. */
let certified: NamedHost
let authority: string
let askpass: string

let home: Home
let agent: OurAgent

beforeAll(async () => {
  store = await temporaryHome()
  ;[hana, olga] = await Promise.all([createUser(), createUser()])
  const users = [hana, olga]
  // One is for logging in by its file alone, and never in the agent.
  await Promise.all(['held', 'other', 'entry', 'ca', 'host'].map(name => makeKey(file(name))))
  await makeKey(file('rsa'), '-t', 'rsa', '-b', '2048')
  await makeKey(file('ecdsa'), '-t', 'ecdsa')
  for (const user of users) await user.authorize(await line('held'), await line('entry'))
  authority = (await line('ca')).split(' ').slice(0, 2).join(' ')
  const certify = ['-q', '-s', file('ca'), '-h', '-I', 'host', '-n', 'certified.example', `${file('host')}.pub`]
  await runOrThrow(peerPath('ssh-keygen'), certify)
  ;[gate, inner, certified] = await Promise.all([
    startHost('gate.example', { users }),
    startHost('inner.example', { users }),
    startHost('certified.example', {
      users,
      hostKeyFiles: { ed25519: file('host'), rsa: file('rsa'), ecdsa: file('ecdsa') },
      config: [`HostCertificate ${file('host')}-cert.pub`],
    }),
  ])
  for (const user of users) {
    const known = `${gate.knownHosts}${inner.knownHosts}@cert-authority *.example ${authority}\n`
    await writeFor(user, join(user.home, '.ssh', 'known_hosts'), known)
  }
  await writeFor(hana, join(hana.home, 'ask'), `#!/bin/sh\necho ${PASSPHRASE}\n`, 0o700)
  await writeFor(hana, join(hana.home, 'fresh'), await readFile(file('other'), 'utf8'))
  await writeFor(hana, join(hana.home, 'held.pub'), await line('held'))
  askpass = join(store.path, 'ask')
  await writeFile(askpass, `#!/bin/sh\necho ${PASSPHRASE}\n`, { mode: 0o700 })
})

afterAll(async () => {
  await Promise.all([gate, inner, certified].map(({ sshd }) => sshd.stop()))
  await hana.dispose()
  await olga.dispose()
  await store.dispose()
})

beforeEach(async () => {
  home = await temporaryHome()
  await writeFile(known(), gate.knownHosts + inner.knownHosts)
  agent = await startOurAgent(home)
})

afterEach(async () => {
  await agent.stop().finally(() => leaveHome(home))
})

const file = (name: string) => join(store.ssh, name)
const line = async (name: string) => (await readFile(`${file(name)}.pub`, 'utf8')).trim()
const blobOf = async (name: string) => Buffer.from((await line(name)).split(' ')[1] ?? '', 'base64')
const known = () => join(home.ssh, 'known_hosts')

const logIn = (host: NamedHost, user: SystemUser, command?: string, ...options: string[]) =>
  logInAt(host, user, { env: agent.env, home, options, ...(command !== undefined && { command }) })

/** Goes to the gate with a key's file, the agent behind it, and has the shell there do something. */
const fromGate = (command: string) => logIn(gate, hana, command, '-A', '-i', file('entry'), '-o', 'IdentitiesOnly=yes')

const add = (...steps: string[]) => succeed(agent.env, ['add', ...steps.flatMap(step => ['--for', step]), file('held')])

function sshAdd(args: readonly string[], env = agent.env): Promise<RunResult> {
  return run(peerPath('ssh-add'), args, { env: { ...env, ...FORCE_ASKPASS, SSH_ASKPASS: askpass } })
}

/** How many keys of the agent a client has offered a server, by what it says with -v. */
const countOffers = ({ stderr }: RunResult) => stderr.match(/Offering public key: .* agent/g)?.length ?? 0

describe.each<[string, (...steps: string[]) => Promise<unknown>]>([
  ['keytool add --for', add],
  [
    'ssh-add -h',
    (...steps) => {
      const words = ['-q', '-H', known(), ...steps.flatMap(step => ['-h', step]), file('held')]
      return runOrThrow(peerPath('ssh-add'), words, { env: agent.env })
    },
  ],
])('destinations by %s', (_, restrict) => {
  test('over the permitted step the key is shown and logs in; elsewhere, and as another user, it does not', async () => {
    await restrict('gate.example', `gate.example>${hana.name}@inner.example`)
    const first = await logIn(gate, hana, 'echo in', '-v')
    expect({ ...first, stderr: '', offers: countOffers(first) }).toMatchObject({ status: 0, stdout: 'in\n', offers: 1 })

    const there = await fromGate(`ssh-add -l && ${wayFromThere(inner, hana)} 'echo further in'`)
    expect(there).toMatchObject({ status: 0, stdout: expect.stringMatching(/^256 SHA256:\S+ held .*\nfurther in\n$/) })

    const wrongUser = await fromGate(wayFromThere(inner, olga))
    expect(wrongUser).toMatchObject({ status: 255, stdout: '' })
    expect(wrongUser.stderr).toContain('agent refused operation')
    expect(wrongUser.stderr).toContain('Permission denied')

    // From here straight on, where nothing leads: it is not even offered.
    const past = await logIn(inner, hana, 'echo in', '-v')
    expect({ status: past.status, stdout: past.stdout, offers: countOffers(past) }).toEqual({
      status: 255,
      stdout: '',
      offers: 0,
    })
    // And from further in, where nothing leads on.
    const further = await fromGate(`${wayFromThere(inner, hana, '-A')} 'ssh-add -l'`)
    expect(further).toMatchObject({ status: 1, stdout: 'The agent has no identities.\n' })

    // Whoever asks here sees it, and can't use it for what is no login.
    expect((await sshAdd(['-l'])).stdout).toContain(' held ')
    expect((await sshAdd(['-T', `${file('held')}.pub`])).status).toBe(1)
  })

  test('one that leads to a host and not on from there is hidden there', async () => {
    await restrict(`${hana.name}@gate.example`)
    const there = await logIn(gate, hana, `ssh-add -l; ${wayFromThere(inner, hana)}`, '-A')
    expect(there).toMatchObject({ status: 255, stdout: 'The agent has no identities.\n' })
    const wrongUser = await logIn(gate, olga)
    expect(wrongUser).toMatchObject({ status: 255, stderr: expect.stringContaining('agent refused operation') })
  })

  test('a host whose key an authority signs is known by it, under its own name only', async () => {
    await writeFile(known(), `${gate.knownHosts}@cert-authority *.example ${authority}\n`)
    await restrict('certified.example', `certified.example>${hana.name}@certified.example`)
    expect(await logIn(certified, hana)).toMatchObject({ status: 0, stdout: 'in\n' })
    const again = `${wayFromThere(certified, hana)} 'echo once more'`
    expect(await logIn(certified, hana, again, '-A')).toMatchObject({ status: 0, stdout: 'once more\n' })
    expect(await logIn(certified, olga, wayFromThere(certified, olga), '-A')).toMatchObject({
      status: 255,
      stderr: expect.stringContaining('agent refused operation'),
    })
    await sshAdd(['-q', '-D'])

    // The authority signs for that name too, but this certificate is another host's.
    await restrict('elsewhere.example')
    const past = await logIn(certified, hana, 'echo in', '-v')
    expect({ status: past.status, offers: countOffers(past) }).toEqual({ status: 255, offers: 0 })
  })
})

describe('from a host that the agent is forwarded to', () => {
  const cases = [
    ['-D', 'remove-all', 'removes no keys', ''],
    ['-d held.pub', 'remove', 'removes no keys', 'held'],
    ['fresh', 'add', 'adds no keys', 'other'],
    ['-x', 'lock', 'locks nothing', ''],
  ] as const

  test.each(cases)('ssh-add %s is refused, and does its work from here', async (words, action, reason, key) => {
    await add()
    const before = await succeed(agent.env, ['list'])
    const there = await fromGate(`SSH_ASKPASS=./ask SSH_ASKPASS_REQUIRE=force ssh-add ${words}`)
    expect({ status: there.status, stdout: there.stdout }).toEqual({ status: 1, stdout: '' })
    expect(await succeed(agent.env, ['list'])).toBe(before)
    const [entry, ...more] = await readLedger(
      agent.env,
      'remove-all',
      'remove',
      'lock',
      'unlock',
      ...(action === 'add' ? ['add'] : []),
    )
    const last = action === 'add' ? more.at(-1) : entry
    expect(last).toMatchObject({
      action,
      verdict: 'refused',
      forwarded: true,
      via: 'ssh',
      reason: `who comes through a forwarded agent ${reason}`,
      ...(key && { key: await fingerprintOf(file(key)) }),
    })

    const here = words.replace('held.pub', `${file('held')}.pub`).replace('fresh', file('other'))
    expect(await sshAdd(here.split(' '))).toMatchObject({ status: 0 })
    const after = (await sshAdd(['-l'])).stdout
    const shown = ['held', 'other'].filter(name => after.includes(` ${name} `))
    expect(shown).toEqual(action === 'add' ? ['held', 'other'] : [])
    if (action === 'lock') expect((await sshAdd(['-X'])).status).toBe(0)
  })

  test('ssh-add -X is refused with the right passphrase, and unlocks from here', async () => {
    await add()
    expect((await sshAdd(['-x'])).status).toBe(0)
    // The session begins while the agent is locked.
    const there = await fromGate('SSH_ASKPASS=./ask SSH_ASKPASS_REQUIRE=force ssh-add -X')
    expect(there).toMatchObject({ status: 1, stderr: expect.stringContaining('Failed to unlock agent') })
    expect((await sshAdd(['-l'])).stdout).toBe('The agent has no identities.\n')
    expect((await sshAdd(['-X'])).status).toBe(0)
    expect((await sshAdd(['-l'])).stdout).toContain(' held ')
  })

  test('what is no login is signed for nobody there', async () => {
    await add()
    expect((await sshAdd(['-T', `${file('held')}.pub`])).status).toBe(0)
    const there = await fromGate('ssh-add -T held.pub')
    expect(there).toMatchObject({ status: 1, stderr: expect.stringContaining('agent refused operation') })
    // SSHSIG says itself what it is for.
    const signed = await fromGate('echo order | ssh-keygen -q -Y sign -n file -f held.pub')
    expect(signed).toMatchObject({ status: 0, stdout: expect.stringContaining('BEGIN SSH SIGNATURE') })
    expect(await readLedger(agent.env, 'sign')).toMatchObject([
      { purpose: 'unknown', verdict: 'allowed' },
      { purpose: 'unknown', verdict: 'refused', forwarded: true, host: 'gate.example' },
      { purpose: 'sshsig:file', verdict: 'allowed', forwarded: true, host: 'gate.example' },
    ])
  })
})

describe('the ledger names', () => {
  async function logInTwice(): Promise<void> {
    await add('gate.example', `gate.example>${hana.name}@inner.example`)
    expect(await logIn(gate, hana)).toMatchObject({ status: 0 })
    expect(await fromGate(wayFromThere(inner, olga))).toMatchObject({ status: 255 })
    expect(await fromGate(`${wayFromThere(inner, hana)} true`)).toMatchObject({ status: 0 })
  }

  test('who logged in where, and what was refused and why', async () => {
    await logInTwice()
    const common = { action: 'sign', key: await fingerprintOf(file('held')), comment: 'held', via: 'ssh' }
    const login = { ...common, purpose: 'login', uid: process.getuid?.() }
    const entries = await readLedger(agent.env, 'sign')
    expect(entries).toMatchObject([
      { ...login, verdict: 'allowed', user: hana.name, host: 'gate.example' },
      {
        ...login,
        verdict: 'refused',
        forwarded: true,
        user: olga.name,
        host: 'inner.example',
        reason: `the key may not be used as ${olga.name} at inner.example`,
      },
      { ...login, verdict: 'allowed', forwarded: true, user: hana.name, host: 'inner.example' },
    ])
    expect(entries[0]).not.toHaveProperty('forwarded')
    expect(await succeed(agent.env, ['log', '--verify'])).toContain('the ledger is whole')
  })

  test('hosts that known_hosts hides: by the command line that leads there, or by ssh_config', async () => {
    await runOrThrow(peerPath('ssh-keygen'), ['-q', '-H', '-f', known()])
    expect(await readFile(known(), 'utf8')).not.toContain('example')
    await logInTwice()
    const hosts = async () => (await readLedger(agent.env, 'sign')).map(({ host }) => host)
    // What the second host is called was said on the first one only.
    const unnamed = Object.values(inner.sshd.fingerprints)
    const [first, ...others] = await hosts()
    expect(first).toBe('gate.example')
    for (const host of others) expect(unnamed).toContain(host)

    await writeFile(join(home.ssh, 'config'), 'Host inner.example\n  Port 22\n')
    // The files are looked at once a second.
    const named = await until(async () => {
      expect(await fromGate(`${wayFromThere(inner, hana)} true`)).toMatchObject({ status: 0 })
      return (await hosts()).at(-1) === 'inner.example'
    })
    expect(named).toBe(true)
  })

  /** Tried a few times, since each takes its while. */
  async function until(look: () => Promise<boolean>): Promise<boolean> {
    for (let tries = 0; tries < 20; tries++) if (await look()) return true
    return false
  }
})

describe('session-bind, said by hand', () => {
  let bare: BareHost
  let client: RawClient

  beforeEach(async () => {
    bare = makeBareHost()
    await writeFile(known(), `bare.example ${bare.line}\n${gate.knownHosts}`)
    client = await connectRaw(agent.socket)
  })
  afterEach(() => client.destroy())

  async function bind(...args: Parameters<BareHost['bind']>): Promise<number | undefined> {
    client.send(bare.bind(...args))
    return (await client.answer())[0]
  }

  async function sign(name: string, sessionId: Buffer, user = hana.name): Promise<number | undefined> {
    const key = await blobOf(name)
    const data = loginData({ sessionId, user, key, hostKey: bare.blob })
    return (await client.ask(SIGN, string(key), string(data), uint32(0)))[0]
  }

  async function countShown(): Promise<number> {
    const answer = await client.ask(LIST)
    expect(answer[0]).toBe(IDENTITIES)
    return answer.readUInt32BE(1)
  }

  /** One restricted to the bare host, one that is not restricted. */
  async function load(): Promise<void> {
    await add('bare.example')
    expect((await sshAdd(['-q', file('other')])).status).toBe(0)
  }

  test('with a proof that holds, both keys sign for it', async () => {
    await load()
    const session = randomBytes(32)
    expect(await bind(session)).toBe(SUCCESS)
    expect(await sign('held', session)).toBe(SIGNATURE)
    expect(await sign('other', session)).toBe(SIGNATURE)
    // Of another session the restricted one signs nothing.
    expect(await sign('held', randomBytes(32))).toBe(FAILURE)
  })

  test.each([
    ['that was signed for another session', 'other session'],
    ['that is cut short', 'cut'],
    ['of nobody', 'empty'],
  ])('with a proof %s: 28, and then nothing is signed or shown that was restricted', async (_, what) => {
    await load()
    const session = randomBytes(32)
    expect(await sign('other', session)).toBe(SIGNATURE)
    const good = bare.bind(session)
    const wrong = {
      'other session': bare.bind(session, { signed: randomBytes(32) }),
      cut: Buffer.concat([uint32(good.length - 4 - 1), good.subarray(4, -1)]),
      empty: bare.bind(Buffer.alloc(0)),
    }[what]
    client.send(wrong ?? good)
    expect((await client.answer())[0]).toBe(EXTENSION_FAILURE)
    expect(await sign('held', session)).toBe(FAILURE)
    expect(await sign('other', session)).toBe(FAILURE)
    expect(await countShown()).toBe(1)
    // A good one comes too late.
    expect(await bind(session)).toBe(EXTENSION_FAILURE)
    expect(await sign('other', session)).toBe(FAILURE)
    // Nor is anything to be done from there, which others may do.
    expect((await client.ask(OLD_REMOVE_ALL))[0]).toBe(FAILURE)
    expect((await sshAdd(['-l'])).stdout.trimEnd().split('\n')).toHaveLength(2)
    const refusals = (await readLedger(agent.env, 'sign')).filter(({ verdict }) => verdict === 'refused')
    expect(refusals).toHaveLength(3)
    for (const { reason } of refusals) expect(reason).toMatch(/^a session of this connection was refused/)
  })

  test('16 hosts on one way, and again the last of them; the 17th is refused, and nothing is signed after it', async () => {
    await load()
    const sessions = Array.from({ length: 17 }, () => randomBytes(32))
    const last = sessions[15] ?? Buffer.alloc(0)
    for (const session of sessions.slice(0, 16)) expect(await bind(session, { forwarding: true })).toBe(SUCCESS)
    expect(await bind(last, { forwarding: true })).toBe(SUCCESS)
    expect(await sign('other', last)).toBe(SIGNATURE)
    expect(await bind(sessions[16] ?? last, { forwarding: true })).toBe(EXTENSION_FAILURE)
    expect(await sign('other', last)).toBe(FAILURE)
  })

  test('nothing lies beyond a login', async () => {
    await load()
    const session = randomBytes(32)
    expect(await bind(session)).toBe(SUCCESS)
    expect(await sign('other', session)).toBe(SIGNATURE)
    expect(await bind(randomBytes(32))).toBe(EXTENSION_FAILURE)
    expect(await sign('other', session)).toBe(FAILURE)
  })

  test('it holds when the agent was locked meanwhile', async () => {
    await load()
    const elsewhere = makeBareHost()
    const stranger = await connectRaw(agent.socket)
    try {
      expect((await sshAdd(['-x'])).status).toBe(0)
      const session = randomBytes(32)
      expect(await bind(session)).toBe(SUCCESS)
      stranger.send(elsewhere.bind(session))
      expect((await stranger.answer())[0]).toBe(SUCCESS)
      expect(await countShown()).toBe(0)
      expect(await sign('held', session)).toBe(FAILURE)

      expect((await sshAdd(['-X'])).status).toBe(0)
      expect(await countShown()).toBe(2)
      expect(await sign('held', session)).toBe(SIGNATURE)
      expect((await stranger.ask(LIST)).readUInt32BE(1)).toBe(1)
    } finally {
      stranger.destroy()
    }
  })
})
