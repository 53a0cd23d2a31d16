import { createPublicKey, verify } from 'node:crypto'
import { copyFile, mkdir, readFile, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { jest } from '@jest/globals'
import { connectAgent } from '@keytool/agent'
import { type Askpass, makeAskpass, until } from './agent-askpass.js'
import {
  during,
  isRunning,
  leaveHome,
  type OurAgent,
  startOurAgent,
  untilWritten,
  waitForEnd,
} from './agent-fixture.js'
import { connectRaw, type RawClient, readStrings, string, uint32 } from './agent-wire.js'
import { type Environment, type Home, opensshOptions, temporaryHome } from './world/home.js'
import { peerPath } from './world/peers.js'
import { residentKeytool } from './world/resident.js'
import { keytool, keytoolPath, type RunResult, run, runOrThrow } from './world/run.js'
import { type Sshd, startSshd } from './world/sshd.js'
import { type Running, start } from './world/start.js'
import { createUser, type SystemUser } from './world/system-user.js'
import { openTerminal } from './world/terminal.js'

// Keys that the agent holds still encrypted: what opens them, who is asked, and what seals them again.

jest.setTimeout(120_000)

const PASSPHRASE = 'Xyzzy-plugh-4711'
const LIST = 11
const SIGN = 13
const FAILURE = 5
const SIGNATURE = 14
const DATA = string('something to sign')

/** Each kind of file, and what makes one of that name. */
const kinds: Readonly<Record<string, (file: string) => Promise<unknown>>> = {
  'OpenSSH Ed25519': file => openssh(file, 'ed25519'),
  'OpenSSH ECDSA 256': file => openssh(file, 'ecdsa', '-b', '256'),
  'OpenSSH ECDSA 384': file => openssh(file, 'ecdsa', '-b', '384'),
  'OpenSSH ECDSA 521': file => openssh(file, 'ecdsa', '-b', '521'),
  'OpenSSH RSA': file => openssh(file, 'rsa', '-b', '2048'),
  'OpenSSH DSA': file => openssh(file, 'dsa'),
  'OpenSSH Ed25519, ChaCha20-Poly1305': file => openssh(file, 'ed25519', '-Z', 'chacha20-poly1305@openssh.com'),
  'PPK 2 RSA': file => ppk(file, 'version=2', '-t', 'rsa', '-b', '2048'),
  'PPK 2 ECDSA 256': file => ppk(file, 'version=2', '-t', 'ecdsa', '-b', '256'),
  'PPK 3 Ed25519': file => ppk(file, 'version=3,passes=1', '-t', 'ed25519'),
  'PPK 3 ECDSA 521, Argon2i': file => ppk(file, 'version=3,passes=1,kdf=argon2i', '-t', 'ecdsa', '-b', '521'),
  'PPK 3 RSA, Argon2d': file => ppk(file, 'version=3,passes=1,kdf=argon2d', '-t', 'rsa', '-b', '2048'),
  'PPK 3 Ed448': file => ppk(file, 'version=3,passes=1', '-t', 'ed448'),
}

/** Holds the key files of all tests. Nothing in it is changed. */
let store: Home
let passFile: string
let user: SystemUser
let sshd: Sshd

let home: Home
let askpass: Askpass
let agent: OurAgent

beforeAll(async () => {
  store = await temporaryHome()
  passFile = join(store.path, 'passphrase')
  await writeFile(passFile, `${PASSPHRASE}\n`)
  const files = Object.entries(kinds).map(async ([kind, make]) => {
    await make(fileOf(kind))
    return fileOf(kind)
  })
  await Promise.all(files)
  user = await createUser()
  sshd = await startSshd({ users: [user], passwordUsers: [], config: ['PubkeyAcceptedAlgorithms +ssh-dss'] })
  await user.authorize(...(await Promise.all(Object.keys(kinds).map(publicLine))))
})

afterAll(async () => {
  await sshd.stop()
  await user.dispose()
  await store.dispose()
})

beforeEach(async () => {
  home = await temporaryHome()
  await writeFile(join(home.ssh, 'known_hosts'), sshd.knownHosts)
  const folder = join(home.path, 'askpass')
  await mkdir(folder)
  askpass = await makeAskpass(folder)
})

afterEach(() => leaveHome(home))

const openssh = (file: string, type: string, ...more: string[]) =>
  runOrThrow(peerPath('ssh-keygen'), [
    ...['-q', '-t', type, ...more, '-a', '1'],
    ...['-N', PASSPHRASE, '-C', commentOf(file), '-f', file],
  ])

async function ppk(file: string, form: string, ...more: string[]): Promise<void> {
  const how = ['-q', ...more, '-C', commentOf(file), '--new-passphrase', passFile, '--ppk-param', form, '-o', file]
  await runOrThrow(peerPath('puttygen'), how)
  const { stdout } = await runOrThrow(peerPath('puttygen'), ['-L', file])
  await writeFile(`${file}.pub`, stdout)
}

const fileOf = (kind: string) => join(store.path, kind.replace(/\W+/g, '-').toLowerCase())
const commentOf = (file: string) => `made as ${file.replace(/.*\//, '')}`
const publicLine = async (kind: string) => (await readFile(`${fileOf(kind)}.pub`, 'utf8')).trim()
const blobOf = async (kind: string) => Buffer.from((await publicLine(kind)).split(' ')[1] ?? '', 'base64')

const ED = 'OpenSSH Ed25519'
const EC = 'OpenSSH ECDSA 256'

/** Starts the agent, whose prompts go to the askpass program. */
async function startAgent(args: readonly string[] = [], more: Environment = {}): Promise<OurAgent> {
  const started = await startOurAgent({ ...home, env: { ...home.env, ...askpass.env, ...more } }, ['-s', ...args])
  // Whoever asks it has no askpass program.
  agent = { ...started, env: { ...home.env, SSH_AUTH_SOCK: started.socket } }
  return agent
}

const ours = (...args: string[]) => residentKeytool(args, { env: agent.env })

async function ok(...args: string[]): Promise<string> {
  const { status, stdout, stderr } = await ours(...args)
  expect({ args, status, stderr }).toEqual({ args, status: 0, stderr: '' })
  return stdout
}

interface Listed {
  readonly comment: string
  readonly state: 'open' | 'sealed'
  readonly [fact: string]: unknown
}

const list = async (): Promise<Listed[]> => JSON.parse(await ok('list', '--json'))

/** The same through the library, which takes less time. */
async function states(): Promise<string[]> {
  const client = await connectAgent(agent.socket)
  try {
    return (await client.reports()).map(({ state }) => state)
  } finally {
    client.close()
  }
}

const ledger = async (): Promise<{ action: string; reason?: string; verdict?: string }[]> => {
  await untilWritten(agent.socket)
  return JSON.parse(await ok('log', '-n', '0', '--json'))
}

/** What a request to sign with that key comes to, whose answer may take as long as a prompt stands. */
async function sign(client: RawClient, kind: string): Promise<void> {
  client.send(frameToSign(await blobOf(kind)))
}

function frameToSign(blob: Buffer): Buffer {
  return string(Buffer.concat([Buffer.from([SIGN]), string(blob), DATA, uint32(0)]))
}

/** The first byte of the answer that comes next, however long it takes. */
async function verdict(client: RawClient): Promise<number | undefined> {
  return (await client.answer())[0]
}

/** Works with a client that is gone afterwards. */
async function withClient<T>(work: (client: RawClient) => Promise<T>): Promise<T> {
  const client = await connectRaw(agent.socket)
  try {
    return await work(client)
  } finally {
    client.destroy()
  }
}

/** Opens a key that is held sealed, through one question. */
async function openThroughPrompt(kind: string, number: number): Promise<void> {
  await withClient(async client => {
    await sign(client, kind)
    await askpass.waitFor(number)
    await askpass.answer(number, PASSPHRASE)
    expect(await verdict(client)).toBe(SIGNATURE)
  })
}

function sshArguments(kind: string): string[] {
  const how = ['-o', 'IdentitiesOnly=yes', '-o', 'PubkeyAcceptedAlgorithms=+ssh-dss', '-i', `${fileOf(kind)}.pub`]
  return [...opensshOptions(home), ...how, '-p', String(sshd.port), `${user.name}@${sshd.host}`, 'echo in']
}

test('files of every kind are listed at once, and open at the first login with one question', async () => {
  await startAgent()
  // Of DSA it says that it is weak, on stderr.
  const { status, stdout: said } = await ours('add', '--sealed', ...Object.keys(kinds).map(fileOf))
  expect(status).toBe(0)
  expect(said.trimEnd().split('\n')).toHaveLength(Object.keys(kinds).length)
  expect(said.match(/, sealed$/gm)).toHaveLength(Object.keys(kinds).length)

  const { stdout } = await runOrThrow(peerPath('ssh-add'), ['-L'], { env: agent.env })
  // ssh-add leaves out what it does not know: Ed448.
  const known = Object.keys(kinds).filter(kind => !kind.endsWith('Ed448'))
  const expected = await Promise.all(known.map(publicLine))
  // PPK files and the lines of puttygen may differ in the comment's quoting, never in the key.
  const keysIn = (lines: readonly string[]) => lines.map(line => line.split(' ').slice(0, 2).join(' '))
  expect(keysIn(stdout.trimEnd().split('\n'))).toEqual(keysIn(expected))
  for (const listed of await list()) expect(listed).toMatchObject({ state: 'sealed', origin: 'file' })
  expect(await askpass.count()).toBe(0)

  let number = 0
  for (const kind of Object.keys(kinds)) {
    number++
    const answering = askpass.waitFor(number).then(async ({ text }) => {
      await askpass.answer(number, PASSPHRASE)
      return text
    })
    if (kind.endsWith('Ed448')) {
      // OpenSSH has no such type: node's OpenSSL is the judge.
      await expectEd448(kind)
    } else {
      const login = await run(peerPath('ssh'), sshArguments(kind), { env: agent.env })
      expect({ kind, ...login }).toMatchObject({ kind, status: 0, stdout: 'in\n' })
      // The host is named as known_hosts names it.
      expect(await answering).toMatch(/^\S+ \(pid \d+\) wants "made as .*" for ktest\w+@\[127\.0\.0\.1\]:\d+\n/)
      expect(await answering).toMatch(/\bssh \(pid \d+\)/)
    }
    expect(await answering).toMatch(/\nkey SHA256:\S{43}\npassphrase for "made as [\w-]+": $/)
  }
  expect(await askpass.count()).toBe(number)
  expect(new Set(await states())).toEqual(new Set(['open']))
  await agent.stop()
})

/** Asks the agent for a signature and verifies it. */
async function expectEd448(kind: string): Promise<void> {
  await withClient(async client => {
    await sign(client, kind)
    const answer = await client.answer()
    const [signature = Buffer.alloc(0)] = readStrings(answer.subarray(1))
    const [name, bytes = Buffer.alloc(0)] = readStrings(signature)
    expect(name?.toString()).toBe('ssh-ed448')
    const [, point = Buffer.alloc(0)] = readStrings(await blobOf(kind))
    // RFC 8410: SubjectPublicKeyInfo of an Ed448 key.
    const der = Buffer.concat([Buffer.from('3043300506032b6571033a00', 'hex'), point])
    const key = createPublicKey({ key: der, format: 'der', type: 'spki' })
    expect(verify(null, DATA.subarray(4), key, bytes)).toBe(true)
  })
}

test('one question, however many ssh processes wait for it', async () => {
  await startAgent()
  await ok('add', '--sealed', fileOf(ED))
  const countPostponed = () => sshd.log().match(/Postponed publickey/g)?.length ?? 0
  const before = countPostponed()
  const logins: Promise<RunResult>[] = []
  for (let count = 0; count < 6; count++) {
    logins.push(run(peerPath('ssh'), sshArguments(ED), { env: agent.env, timeoutMs: 40_000 }))
  }
  // All have been told that the key would do, so that the next thing each of them does is to ask the agent.
  await until('six logins', async () => countPostponed() >= before + 6)
  await askpass.waitFor(1)
  await askpass.answer(1, PASSPHRASE)
  for (const login of logins) expect(await login).toMatchObject({ status: 0, stdout: 'in\n' })
  expect(await askpass.count()).toBe(1)
  await agent.stop()
})

/** What a request comes to first: an answer, or a question. The answer comes either way. */
async function request(client: RawClient, kind: string): Promise<{ asked: boolean; answer: Promise<unknown> }> {
  const before = await askpass.count()
  let answered = false
  await sign(client, kind)
  const answer = verdict(client).finally(() => {
    answered = true
  })
  answer.catch(() => undefined)
  await until('an answer or a question', async () => answered || (await askpass.count()) > before)
  return { asked: !answered, answer }
}

describe('who asks again after a no', () => {
  /**
   * Says no to the questions that come, until a request is refused of which the user learns nothing. Each no doubles the
   * time for that, from 1 s on; on a machine that was too busy to be in time the next one is tried.
   */
  async function refuseUntilUnasked(client: RawClient, kind: string, refuse: (number: number) => Promise<void>) {
    let next = await request(client, kind)
    expect(next.asked).toBe(true)
    for (let wait = 1000; wait <= 8000; wait *= 2) {
      const since = performance.now()
      await refuse(await askpass.count())
      expect(await next.answer).toBe(FAILURE)
      next = await request(client, kind)
      if (!next.asked) return expect(await next.answer).toBe(FAILURE)
      // The agent's clock may tick a moment apart from ours.
      expect(performance.now() - since).toBeGreaterThanOrEqual(wait - 10)
    }
    throw new Error('the machine is too busy')
  }

  test('is refused unasked for a while; then the user is asked anew', async () => {
    await startAgent()
    await ok('add', '--sealed', fileOf(ED))
    await withClient(async client => {
      await refuseUntilUnasked(client, ED, async number => {
        await askpass.waitFor(number)
        await askpass.refuse(number)
      })
      const count = await askpass.count()
      const { answer } = await until('the next question', async () => {
        const next = await request(client, ED)
        return next.asked && next
      })
      expect((await askpass.waitFor(count + 1)).text).not.toContain('wrong passphrase')
      await askpass.answer(count + 1, PASSPHRASE)
      expect(await answer).toBe(SIGNATURE)
    })
    const refused = { action: 'sign', verdict: 'refused', reason: expect.stringContaining('was not opened') }
    expect(await ledger()).toContainEqual(expect.objectContaining(refused))
    await agent.stop()
  })

  test('three wrong passphrases are a no; whoever knows the right one need not wait', async () => {
    await startAgent()
    await ok('add', '--sealed', fileOf(ED), fileOf(EC))
    await withClient(async client => {
      const texts: string[] = []
      await refuseUntilUnasked(client, ED, async first => {
        for (let number = first; number < first + 3; number++) {
          texts.push((await askpass.waitFor(number)).text)
          await askpass.answer(number, 'not this one')
        }
      })
      const wrong = texts.map(text => /^wrong passphrase, (.*) left\n/.exec(text)?.[1])
      expect(wrong.slice(0, 3)).toEqual([undefined, '2 tries', 'one try'])
      // Another key is another question.
      const other = await request(client, EC)
      expect(other.asked).toBe(true)
      await askpass.answer(await askpass.count(), PASSPHRASE)
      expect(await other.answer).toBe(SIGNATURE)
      await ok('unlock', fileOf(ED), '--passphrase-file', passFile)
      const opened = await request(client, ED)
      expect([opened.asked, await opened.answer]).toEqual([false, SIGNATURE])
    })
    await agent.stop()
  })

  test('an empty passphrase is a no', async () => {
    await startAgent()
    await ok('add', '--sealed', fileOf(ED))
    await withClient(client =>
      refuseUntilUnasked(client, ED, async number => {
        await askpass.waitFor(number)
        await askpass.answer(number, '')
      }),
    )
    await agent.stop()
  })
})

test('ssh with a prompt that was closed says that the agent refused, and tries no more', async () => {
  await startAgent()
  await ok('add', '--sealed', fileOf(ED))
  const login = run(peerPath('ssh'), sshArguments(ED), { env: agent.env })
  await askpass.waitFor(1)
  await askpass.refuse(1)
  const { status, stderr } = await login
  expect({ status, stderr }).toEqual({ status: 255, stderr: expect.stringContaining('agent refused operation') })
  expect(await askpass.count()).toBe(1)
  await agent.stop()
})

test('keytool unlock KEY on another terminal answers who waits, and takes the question off the screen', async () => {
  await startAgent()
  await ok('add', '--sealed', fileOf(ED))
  const login = run(peerPath('ssh'), sshArguments(ED), { env: agent.env, timeoutMs: 40_000 })
  const { pid } = await askpass.waitFor(1)
  expect(await isRunning(pid)).toBe(true)

  const terminal = await openTerminal([process.execPath, keytoolPath, 'unlock', fileOf(ED)], { env: agent.env })
  try {
    await terminal.waitFor(/passphrase for .*openssh-ed25519/)
    await terminal.type('not this one\r')
    // A wrong one there is not the business of those who wait.
    await terminal.waitFor(/wrong passphrase, 2 tries left/)
    expect(await isRunning(pid)).toBe(true)
    await terminal.type(`${PASSPHRASE}\r`)
    expect(await terminal.exitStatus()).toBe(0)
    expect(await terminal.screen()).toMatch(/opened SHA256:/)
    expect(await terminal.transcript()).not.toContain(PASSPHRASE)
  } finally {
    await terminal.close()
  }
  expect(await login).toMatchObject({ status: 0, stdout: 'in\n' })
  await waitForEnd(pid)
  expect(await askpass.count()).toBe(1)
  await agent.stop()
})

describe('it is sealed again', () => {
  const withOpenKey = async (...args: string[]) => {
    await startAgent(args)
    await ok('add', '--sealed', fileOf(ED))
    await openThroughPrompt(ED, 1)
  }

  /** Sealed, and asked for anew. */
  async function expectSealed(): Promise<void> {
    await until('the seal', async () => (await states())[0] === 'sealed')
    await openThroughPrompt(ED, (await askpass.count()) + 1)
  }

  test('after --idle', async () => {
    await withOpenKey('--idle', '1s')
    await expectSealed()
    expect(await ledger()).toContainEqual(expect.objectContaining({ action: 'seal', reason: 'it was idle' }))
    expect((await list())[0]).toMatchObject({ idle: 1, left: null })
    await agent.stop()
  })

  test('when the agent is locked, and stays so when it is unlocked', async () => {
    await withOpenKey()
    await ok('lock', '--passphrase-file', passFile)
    expect((await run(peerPath('ssh-add'), ['-l'], { env: agent.env })).stdout).toContain('no identities')
    expect(await ours('unlock', fileOf(ED), '--passphrase-file', passFile)).toMatchObject({
      status: 4,
      stderr: expect.stringContaining('the agent is locked'),
    })
    await ok('unlock', '--passphrase-file', passFile)
    await expectSealed()
    await agent.stop()
  })

  test.each([
    ['KEY', () => fileOf(ED)],
    ['--all', () => '--all'],
  ])('by keytool reencrypt %s', async (_, word) => {
    await withOpenKey()
    expect(await ok('reencrypt', word())).toMatch(/sealed/)
    await expectSealed()
    await agent.stop()
  })

  test('where it was added open: its encrypted file came with it', async () => {
    await startAgent()
    await ok('add', fileOf(ED), '--passphrase-file', passFile)
    expect(await list()).toMatchObject([{ state: 'open', origin: 'file', comment: commentOf(fileOf(ED)) }])
    await ok('reencrypt', fileOf(ED))
    await expectSealed()
    await agent.stop()
  })

  test('but not where only the open key is there, which says so', async () => {
    await startAgent()
    const plain = join(home.ssh, 'plain')
    await runOrThrow(peerPath('ssh-keygen'), ['-q', '-t', 'ed25519', '-N', '', '-f', plain])
    await ok('add', plain)
    await ok('add', '--sealed', fileOf(ED))
    expect(await ours('reencrypt', plain)).toMatchObject({
      status: 4,
      stderr: expect.stringMatching(/with its encrypted file/),
    })
    expect(await ours('reencrypt', '--all')).toMatchObject({
      status: 0,
      stderr: '1 key without one stays open\n',
    })
    expect(await states()).toEqual(['open', 'sealed'])
    await agent.stop()
  })
})

test('SIGUSR1 drops all keys, sealed ones too, and the agent goes on', async () => {
  await startAgent()
  await ok('add', '--sealed', fileOf(ED), fileOf(EC))
  await openThroughPrompt(ED, 1)
  process.kill(agent.pid, 'SIGUSR1')
  await until('no keys', async () => (await states()).length === 0)
  expect(JSON.parse(await ok('agent', 'status', '--json'))).toMatchObject({ keys: { open: 0, sealed: 0 } })
  expect(await ledger()).toContainEqual(expect.objectContaining({ action: 'remove-all', reason: 'SIGUSR1' }))
  await ok('add', '--sealed', fileOf(ED))
  expect(await states()).toEqual(['sealed'])
  await agent.stop()
})

describe('while a question stands', () => {
  test('whoever asked is killed: it is taken off the screen', async () => {
    await startAgent()
    await ok('add', '--sealed', fileOf(ED))
    await during(start(peerPath('ssh'), sshArguments(ED), { env: agent.env }), async (ssh: Running) => {
      const { pid } = await askpass.waitFor(1)
      await ssh.stop('SIGKILL')
      await waitForEnd(pid)
    })
    expect(await states()).toEqual(['sealed'])
    await agent.stop()
  })

  test('one of two who asked is killed: it stands for the other', async () => {
    await startAgent()
    await ok('add', '--sealed', fileOf(ED))
    const [first, second] = [await connectRaw(agent.socket), await connectRaw(agent.socket)]
    await sign(first, ED)
    const { pid } = await askpass.waitFor(1)
    await sign(second, ED)
    // Read in the order they came: once another's list is answered, the second one waits, and then the first one is gone.
    await withClient(client => client.ask(LIST))
    first.destroy()
    await withClient(client => client.ask(LIST))
    expect(await isRunning(pid)).toBe(true)
    await askpass.answer(1, PASSPHRASE)
    expect(await verdict(second)).toBe(SIGNATURE)
    second.destroy()
    await agent.stop()
  })

  test('the agent is locked: the right passphrase comes too late', async () => {
    await startAgent()
    await ok('add', '--sealed', fileOf(ED))
    await withClient(async client => {
      await sign(client, ED)
      await askpass.waitFor(1)
      await ok('lock', '--passphrase-file', passFile)
      await askpass.answer(1, PASSPHRASE)
      expect(await verdict(client)).toBe(FAILURE)
    })
    await ok('unlock', '--passphrase-file', passFile)
    expect(await states()).toEqual(['sealed'])
    await agent.stop()
  })

  test('the key is removed: the right passphrase comes too late, and it does not come back', async () => {
    await startAgent()
    await ok('add', '--sealed', fileOf(ED))
    await withClient(async client => {
      await sign(client, ED)
      await askpass.waitFor(1)
      await ok('remove', fileOf(ED))
      await askpass.answer(1, PASSPHRASE)
      expect(await verdict(client)).toBe(FAILURE)
    })
    expect(await states()).toEqual([])
    await agent.stop()
  })

  test('other clients are served', async () => {
    await startAgent()
    await ok('add', '--sealed', fileOf(ED))
    await ok('add', fileOf(EC), '--passphrase-file', passFile)
    const waiting = await connectRaw(agent.socket)
    await sign(waiting, ED)
    await askpass.waitFor(1)
    await withClient(async client => {
      await sign(client, EC)
      expect(await verdict(client)).toBe(SIGNATURE)
    })
    const { pid } = await askpass.waitFor(1)
    waiting.destroy()
    await waitForEnd(pid)
    await agent.stop()
  })

  test('the agent is stopped: the question goes with it', async () => {
    await startAgent()
    await ok('add', '--sealed', fileOf(ED))
    const client = await connectRaw(agent.socket)
    await sign(client, ED)
    const { pid } = await askpass.waitFor(1)
    const stopped = await keytool(['agent', 'stop'], { env: agent.env })
    expect(stopped.status).toBe(0)
    await client.closed
    await waitForEnd(pid)
  })
})

describe('what is not held', () => {
  beforeEach(() => startAgent())
  afterEach(async () => {
    expect(await states()).toEqual([])
    await agent.stop()
  })

  test('a file that is cut short or changed', async () => {
    const bytes = await readFile(fileOf(ED), 'latin1')
    const broken: Readonly<Record<string, string>> = {
      half: bytes.slice(0, bytes.length / 2),
      empty: '',
      words: 'no key at all\n',
      // The first byte of the armoured magic.
      magic: bytes.replace('\nb3BlbnNzaC', '\nA3BlbnNzaC'),
    }
    for (const [name, text] of Object.entries(broken)) {
      const file = join(home.ssh, name)
      await writeFile(file, text)
      const { status, stderr } = await ours('add', '--sealed', file)
      expect({ name, status, lines: stderr.trimEnd().split('\n').length <= 3 }).toEqual({
        name,
        status: 6,
        lines: true,
      })
      expect(stderr).toContain(name)
    }
    const ppk = await readFile(fileOf('PPK 3 Ed25519'), 'latin1')
    await writeFile(join(home.ssh, 'cut.ppk'), ppk.replace(/Private-MAC: .*/, ''))
    expect((await ours('add', '--sealed', join(home.ssh, 'cut.ppk'))).status).toBe(6)
  })

  test('a file that would cost too much to open', async () => {
    const costly = (await readFile(fileOf('PPK 3 Ed25519'), 'latin1')).replace(
      /Argon2-Memory: \d+/,
      'Argon2-Memory: 4194304',
    )
    await writeFile(join(home.ssh, 'costly.ppk'), costly)
    const { status, stderr } = await ours('add', '--sealed', join(home.ssh, 'costly.ppk'))
    expect(status).toBeGreaterThan(0)
    expect(stderr).toMatch(/Argon2|KDF|memory/i)
    const rounds = join(home.ssh, 'rounds')
    // bcrypt's salt and rounds stand in the clear: 2^31 of them.
    await writeFile(rounds, withRounds(await readFile(fileOf(ED), 'latin1'), 0x7fffffff))
    expect(await ours('add', '--sealed', rounds)).toMatchObject({ status: 6, stderr: expect.stringMatching(/round/) })
  })

  test('one that is not encrypted, that hides its public half, or that is a public key', async () => {
    const plain = join(home.ssh, 'plain')
    await runOrThrow(peerPath('ssh-keygen'), ['-q', '-t', 'ed25519', '-N', '', '-f', plain])
    expect(await ours('add', '--sealed', plain)).toMatchObject({
      status: 6,
      stderr: expect.stringContaining('not encrypted'),
    })
    const pem = join(home.ssh, 'pem')
    await copyFile(fileOf('OpenSSH RSA'), pem)
    const how = ['-q', '-p', '-m', 'PKCS8', '-P', PASSPHRASE, '-N', PASSPHRASE, '-f', pem]
    await runOrThrow(peerPath('ssh-keygen'), how)
    expect(await ours('add', '--sealed', pem)).toMatchObject({
      status: 6,
      stderr: expect.stringContaining('hide their public half'),
    })
    expect((await ours('add', '--sealed', `${fileOf(ED)}.pub`)).status).not.toBe(0)
    expect(await ours('add', '--sealed', join(home.ssh, 'nowhere'))).toMatchObject({
      status: 3,
      stderr: expect.stringContaining('is not there'),
    })
    const both = await ours('add', '--sealed', fileOf(ED), '--passphrase-file', passFile)
    expect({ status: both.status, stderr: both.stderr }).toEqual({
      status: 2,
      stderr: expect.stringContaining('contradicts'),
    })
  })
})

/** An OpenSSH file whose KDF asks for so many rounds. */
function withRounds(file: string, rounds: number): string {
  const body = file.split('\n').slice(1, -2).join('')
  const bytes = Buffer.from(body, 'base64')
  // "openssh-key-v1\0", cipher, KDF, then the KDF's options: salt, rounds.
  const strings = readStrings(bytes.subarray(15))
  const options = strings[2] ?? Buffer.alloc(0)
  options.writeUInt32BE(rounds, options.length - 4)
  return armour(bytes)
}

function armour(bytes: Buffer): string {
  const lines = bytes.toString('base64').match(/.{1,70}/g) ?? []
  return ['-----BEGIN OPENSSH PRIVATE KEY-----', ...lines, '-----END OPENSSH PRIVATE KEY-----', ''].join('\n')
}

test('a file that shows another public half than it holds signs nothing, and nobody is blamed for it', async () => {
  await startAgent()
  const bytes = Buffer.from((await readFile(fileOf(ED), 'latin1')).split('\n').slice(1, -2).join(''), 'base64')
  const other = await blobOf('OpenSSH Ed25519, ChaCha20-Poly1305')
  const at = bytes.indexOf(await blobOf(ED))
  expect(at).toBeGreaterThan(0)
  other.copy(bytes, at)
  const file = join(home.ssh, 'two-faced')
  await writeFile(file, armour(bytes), { mode: 0o600 })
  await ok('add', '--sealed', file)
  await withClient(async client => {
    client.send(frameToSign(other))
    await askpass.waitFor(1)
    await askpass.answer(1, PASSPHRASE)
    expect(await verdict(client)).toBe(FAILURE)
  })
  expect(await states()).toEqual(['sealed'])
  expect(await askpass.count()).toBe(1)
  expect(await ledger()).toContainEqual(
    expect.objectContaining({
      action: 'sign',
      verdict: 'failed',
      reason: expect.stringContaining('another public key'),
    }),
  )
  await agent.stop()
})

test("a .pub beside the file that is another key's changes nothing", async () => {
  await startAgent()
  const file = join(home.ssh, 'id')
  await copyFile(fileOf(ED), file)
  await copyFile(`${fileOf(EC)}.pub`, `${file}.pub`)
  const { status, stdout } = await ours('add', '--sealed', file)
  expect({ status, stdout }).toEqual({ status: 0, stdout: expect.stringContaining('(ED25519)') })
  const { stdout: listed } = await runOrThrow(peerPath('ssh-add'), ['-L'], { env: agent.env })
  expect(listed.split(' ')[1]).toBe((await publicLine(ED)).split(' ')[1])
  // Nor is that one's comment taken for this one's.
  expect((await list())[0]?.comment).toBe(file)
  await agent.stop()
})

describe('a certificate beside the key', () => {
  let file: string

  beforeEach(async () => {
    file = join(home.ssh, 'id')
    await copyFile(fileOf(ED), file)
    await copyFile(`${fileOf(ED)}.pub`, `${file}.pub`)
    const authority = join(home.ssh, 'authority')
    await runOrThrow(peerPath('ssh-keygen'), ['-q', '-t', 'ed25519', '-N', '', '-f', authority])
    await runOrThrow(peerPath('ssh-keygen'), ['-q', '-s', authority, '-I', 'hana', '-n', user.name, `${file}.pub`])
    await startAgent()
  })

  test('comes along where the key is added open, and is sealed with it', async () => {
    await ok('add', file, '--passphrase-file', passFile)
    expect((await list()).map(({ type, state }) => [type, state])).toEqual([
      ['ssh-ed25519', 'open'],
      ['ssh-ed25519-cert-v01@openssh.com', 'open'],
    ])
    await ok('reencrypt', '--all')
    expect(await states()).toEqual(['sealed', 'sealed'])
    await withClient(async client => {
      const line = await readFile(`${file}-cert.pub`, 'utf8')
      client.send(frameToSign(Buffer.from(line.split(' ')[1] ?? '', 'base64')))
      await askpass.waitFor(1)
      await askpass.answer(1, PASSPHRASE)
      expect(await verdict(client)).toBe(SIGNATURE)
    })
    await agent.stop()
  })

  test('is left out where it is added sealed, which is said', async () => {
    const { status, stdout, stderr } = await ours('add', '--sealed', file)
    expect({ status, stderr }).toEqual({ status: 0, stderr: expect.stringMatching(/id-cert\.pub is left out/) })
    expect(stdout.trimEnd().split('\n')).toHaveLength(1)
    expect((await list()).map(({ type }) => type)).toEqual(['ssh-ed25519'])
    await agent.stop()
  })
})

/** The library's side of a bus: what it sends does not pass through the code that is tested. */
interface Program {
  connection: { on(event: string, listener: (value: unknown) => void): void; stream: { destroy(): void } }
  requestName(name: string, flags: number, callback: (error: unknown) => void): void
  sendSignal(path: string, name: string, member: string, signature?: string, body?: unknown[]): void
}

describe('sleep and screen lock', () => {
  const { createClient } = createRequire(import.meta.url)('@homebridge/dbus-native') as {
    createClient(options: { busAddress: string }): Program
  }
  const LOGIND = 'org.freedesktop.login1'

  /** A bus of the test's own, on which somebody has that name. */
  async function withBus(name: string, work: (program: Program, address: string) => Promise<void>): Promise<void> {
    const socket = join(home.path, 'bus')
    const config = `${socket}.conf`
    await writeFile(
      config,
      `<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
        "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
      <busconfig><type>session</type><listen>unix:path=${socket}</listen><auth>EXTERNAL</auth>
        <policy context="default"><allow send_destination="*"/><allow receive_sender="*"/><allow own="*"/></policy>
      </busconfig>`,
    )
    const daemon = start('dbus-daemon', [`--config-file=${config}`, '--nofork', '--print-address'])
    await during(daemon, async running => {
      const [, address = ''] = await running.waitFor(/^(unix:\S+)$/m)
      const program = createClient({ busAddress: address })
      program.connection.on('error', () => undefined)
      try {
        await new Promise<void>((resolve, reject) =>
          program.requestName(name, 0, error => (error ? reject(error) : resolve())),
        )
        await work(program, address)
      } finally {
        program.connection.stream.destroy()
      }
    })
  }

  const sleeps = (logind: Program) =>
    logind.sendSignal('/org/freedesktop/login1', `${LOGIND}.Manager`, 'PrepareForSleep', 'b', [true])
  const locks = (logind: Program) =>
    logind.sendSignal('/org/freedesktop/login1/session/_31', `${LOGIND}.Session`, 'Lock')

  test('seal the keys that can be sealed, and the ledger says why', async () => {
    await withBus(LOGIND, async (logind, address) => {
      await startAgent([], { DBUS_SYSTEM_BUS_ADDRESS: address })
      await ok('add', '--sealed', fileOf(ED))
      for (const [number, happen, reason] of [
        [1, sleeps, 'the machine goes to sleep'],
        [2, locks, 'the screen is locked'],
      ] as const) {
        await openThroughPrompt(ED, number)
        happen(logind)
        await until('the seal', async () => (await states())[0] === 'sealed')
        expect((await ledger()).at(-1)).toMatchObject({ action: 'seal', reason })
      }
      await agent.stop()
    })
  })

  test('of a screen saver on the session bus, too', async () => {
    await withBus('org.gnome.ScreenSaver', async (saver, address) => {
      await startAgent([], { DBUS_SESSION_BUS_ADDRESS: address })
      await ok('add', '--sealed', fileOf(ED))
      await openThroughPrompt(ED, 1)
      saver.sendSignal('/org/gnome/ScreenSaver', 'org.gnome.ScreenSaver', 'ActiveChanged', 'b', [true])
      await until('the seal', async () => (await states())[0] === 'sealed')
      await agent.stop()
    })
  })

  test('seal nothing where the policy says so', async () => {
    const config = join(home.path, '.config', 'keytool')
    await mkdir(config, { recursive: true, mode: 0o700 })
    await writeFile(
      join(config, 'agent.json'),
      JSON.stringify({ version: 1, sealOn: { suspend: false, screenLock: true } }),
      { mode: 0o600 },
    )
    await withBus(LOGIND, async (logind, address) => {
      await startAgent([], { DBUS_SYSTEM_BUS_ADDRESS: address })
      await ok('add', '--sealed', fileOf(ED), fileOf(EC))
      await openThroughPrompt(ED, 1)
      // One after the other on one connection: the second shows that the first was heard.
      sleeps(logind)
      locks(logind)
      await until('the seal', async () => (await states())[0] === 'sealed')
      const seals = async () => (await ledger()).filter(({ action }) => action === 'seal')
      // The line follows the deed.
      await until('its line', async () => (await seals()).length > 0)
      expect(await seals()).toEqual([expect.objectContaining({ reason: 'the screen is locked' })])
      await agent.stop()
    })
  })
})
