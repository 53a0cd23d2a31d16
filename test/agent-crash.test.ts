import { lstat, readdir, readFile, rename, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { jest } from '@jest/globals'
import { until } from './agent-askpass.js'
import { evaluate, expectNothingLeft, leaveHome, waitForEnd } from './agent-fixture.js'
import { type Environment, type Home, temporaryHome } from './world/home.js'
import { peerPath } from './world/peers.js'
import { residentKeytool } from './world/resident.js'
import { keytool, type RunResult, runOrThrow } from './world/run.js'

// What becomes of the keys when the agent is killed and started again, and when it ends cleanly.

jest.setTimeout(120_000)

const PASSPHRASE = 'Xyzzy-plugh-4711'

let home: Home
/** Where the background agent keeps what it needs to hold its keys again. */
let keysFile: string
let passFile: string
/** Keys that are encrypted, and one that is not. */
let sealed: string
let other: string
let plain: string

let env: Environment
let pid: number

beforeEach(async () => {
  home = await temporaryHome()
  keysFile = join(home.runtime, 'keytool', 'agent.keys')
  passFile = join(home.path, 'passphrase')
  await writeFile(passFile, `${PASSPHRASE}\n`)
  sealed = await makeKey('sealed', PASSPHRASE)
  other = await makeKey('other', PASSPHRASE)
  plain = await makeKey('plain', '')
  await startAgain()
})

afterEach(() => leaveHome(home))

async function makeKey(name: string, passphrase: string): Promise<string> {
  const file = join(home.ssh, name)
  const how = ['-q', '-t', 'ed25519', '-a', '1', '-N', passphrase, '-C', `the ${name} one`, '-f', file]
  await runOrThrow(peerPath('ssh-keygen'), how)
  return file
}

/** Starts the agent, or starts it again. Returns what it said on stderr. */
async function startAgain(...args: string[]): Promise<string> {
  const { status, stdout, stderr } = await keytool(['agent', '-s', ...args], { env: home.env })
  expect(status).toBe(0)
  const place = await evaluate(stdout)
  pid = place.pid
  env = { ...home.env, SSH_AUTH_SOCK: place.socket }
  return stderr
}

const ours = (...args: string[]): Promise<RunResult> => residentKeytool(args, { env })

async function ok(...args: string[]): Promise<string> {
  const { status, stdout, stderr } = await ours(...args)
  expect({ args, status, stderr }).toEqual({ args, status: 0, stderr: '' })
  return stdout
}

interface Listed {
  readonly comment: string
  readonly state: string
  readonly left: number | null
  readonly [fact: string]: unknown
}

const list = async (): Promise<Listed[]> => JSON.parse((await ours('list', '--json')).stdout)
const comments = async () => (await list()).map(({ comment }) => comment)
const troubles = async (): Promise<string[]> => JSON.parse((await ours('agent', 'status', '--json')).stdout).troubles

/** The comments of the keys that are kept. Empty without a file; `undefined` while that is not one of the agent's. */
async function readKept(): Promise<string[] | undefined> {
  const stats = await lstat(keysFile).catch(() => undefined)
  if (!stats) return []
  try {
    const { version, keys } = JSON.parse(await readFile(keysFile, 'utf8'))
    return stats.isFile() && version === 1 ? keys.map(({ comment }: { comment: string }) => comment) : undefined
  } catch {
    return undefined
  }
}

/** Kills the agent once it has written down these keys, which takes it a moment. None: once the file is gone. */
async function killWith(...keys: string[]): Promise<void> {
  await until('the keys on disk', async () => JSON.stringify(await readKept()) === JSON.stringify(keys))
  process.kill(pid, 'SIGKILL')
  await waitForEnd(pid)
}

async function stop(): Promise<void> {
  await ok('agent', 'stop')
  await expectNothingLeft(home)
}

test('after SIGKILL the sealed keys are back, sealed; what was only open is named as lost, at the start and later', async () => {
  await ok('add', '--sealed', sealed)
  await ok('add', other, '--passphrase-file', passFile)
  await ok('add', plain)
  expect((await list()).map(({ state }) => state)).toEqual(['sealed', 'open', 'open'])
  await killWith('the sealed one', 'the other one', 'the plain one')
  expect((await ours('agent', 'status')).stdout).toMatch(/^running +no$/m)
  expect((await ours('list')).status).toBe(7)

  const said = await startAgain()
  expect(said).toMatch(/was killed or crashed; keys held again, sealed: 2$/m)
  expect(said).toMatch(/keys that are lost: the plain one$/m)
  expect(said.trimEnd().split('\n')).toHaveLength(2)
  expect((await list()).map(({ comment, state, origin }) => [comment, state, origin])).toEqual([
    ['the sealed one', 'sealed', 'file'],
    ['the other one', 'sealed', 'file'],
  ])
  const status = await ours('agent', 'status')
  expect(status.stdout).toMatch(/^keys +0 open, 2 sealed$/m)
  // What came back was news at the start; what is lost stays a trouble.
  const [, lost = ''] = said.split('\n')
  expect(status.stderr).toBe(`${lost}\n`)
  expect(await troubles()).toEqual([lost])

  // They are the same keys.
  await ok('unlock', sealed, '--passphrase-file', passFile)
  await runOrThrow(peerPath('ssh-add'), ['-T', `${sealed}.pub`], { env })
  await stop()
})

test('what is kept for that: a file of the user alone, and no secret in it', async () => {
  await ok('add', other, '--passphrase-file', passFile)
  await ok('add', plain)
  await killWith('the other one', 'the plain one')
  const { mode, uid } = await lstat(keysFile)
  expect([mode & 0o777, uid]).toEqual([0o600, process.getuid?.()])

  const { keys } = JSON.parse(await readFile(keysFile, 'utf8'))
  // The encrypted file as it is, and of the open one nothing but its name.
  expect(Buffer.from(keys[0].file, 'base64')).toEqual(await readFile(other))
  expect(Object.keys(keys[1])).toEqual(['fingerprint', 'comment'])
  expect(JSON.stringify(keys)).not.toContain(PASSPHRASE)
  await startAgain()
  await stop()
})

test('conditions go on, and lifetimes are not begun anew', async () => {
  await writeFile(join(home.ssh, 'known_hosts'), `git.example ${await readFile(`${plain}.pub`, 'utf8')}`)
  const began = performance.now()
  await ok('add', '--sealed', '-t', '100', '--idle', '5m', '-c', '--for', 'git@git.example', sealed)
  const added = performance.now()
  const [before] = await list()
  expect(before).toMatchObject({ lifetime: 100, idle: 300, confirm: true })
  await killWith('the sealed one')
  await sleep(Math.max(0, added + 2000 - performance.now()))
  await startAgain()
  const [after] = await list()
  const passed = (performance.now() - began) / 1000
  // The lifetime is what was left when it was held again.
  expect({ ...after, left: 0, lifetime: 0 }).toEqual({ ...before, left: 0, lifetime: 0 })
  expect(after?.left).toBeLessThanOrEqual(98)
  expect(after?.left).toBeGreaterThanOrEqual(Math.floor(100 - passed) - 1)
  await stop()
})

test('a key whose time has ended meanwhile is neither back nor lost', async () => {
  await ok('add', '--sealed', '-t', '1h', sealed)
  await ok('add', '-t', '1h', plain)
  await killWith('the sealed one', 'the plain one')
  // As if an hour had passed.
  const text = await readFile(keysFile, 'utf8')
  await writeFile(keysFile, text.replace(/(?<="expires":)\d+/g, String(Date.now() - 1)))
  expect(await startAgain()).toBe('')
  expect(await list()).toEqual([])
  await stop()
})

test('killed twice: what was held again is held again, what was lost is not told twice', async () => {
  await ok('add', '--sealed', sealed)
  await ok('add', plain)
  await killWith('the sealed one', 'the plain one')
  await startAgain()
  await killWith('the sealed one')
  const said = await startAgain()
  expect(said).toMatch(/sealed: 1$/m)
  expect(said).not.toContain('lost')
  await stop()
})

describe('nothing comes back', () => {
  /** Until only the key's name is kept. Returns the file with the lock's passphrase. */
  async function addAndLock(): Promise<string> {
    await ok('add', '--sealed', sealed)
    await until('the keys on disk', () => lstat(keysFile).catch(() => undefined))
    const lockFile = join(home.path, 'lock')
    await writeFile(lockFile, 'mellon\n')
    await ok('lock', '--passphrase-file', lockFile)
    await until('no file of it on disk', async () => !(await readFile(keysFile, 'utf8')).includes('"file"'))
    return lockFile
  }

  const ends: Readonly<Record<string, () => Promise<unknown>>> = {
    'keytool agent stop': () => ok('agent', 'stop'),
    'keytool agent -k': () => ok('agent', '-k'),
    SIGTERM: async () => process.kill(pid, 'SIGTERM'),
    SIGINT: async () => process.kill(pid, 'SIGINT'),
    SIGHUP: async () => process.kill(pid, 'SIGHUP'),
  }

  test.each(Object.entries(ends))('after %s, which leaves nothing', async (_, end) => {
    await ok('add', '--sealed', sealed)
    await ok('add', plain)
    await until('the keys on disk', () => lstat(keysFile).catch(() => undefined))
    await end()
    await waitForEnd(pid)
    await expectNothingLeft(home)
    expect(await startAgain()).toBe('')
    expect(await list()).toEqual([])
    await stop()
  })

  test('of an agent that was locked: killing it does not unlock it', async () => {
    await addAndLock()
    process.kill(pid, 'SIGKILL')
    await waitForEnd(pid)
    expect(await startAgain()).toMatch(/keys that are lost: the sealed one$/m)
    expect(await list()).toEqual([])
    await stop()
  })

  test('but what was unlocked again', async () => {
    const lockFile = await addAndLock()
    await ok('unlock', '--passphrase-file', lockFile)
    await until('its file on disk', async () => (await readFile(keysFile, 'utf8')).includes('"file"'))
    await killWith('the sealed one')
    expect(await startAgain()).toMatch(/keys held again, sealed: 1$/m)
    await stop()
  })

  const drops: Readonly<Record<string, () => Promise<unknown>>> = {
    'keytool remove --all': () => ok('remove', '--all'),
    'ssh-add -D': () => runOrThrow(peerPath('ssh-add'), ['-q', '-D'], { env }),
    SIGUSR1: async () => process.kill(pid, 'SIGUSR1'),
  }

  test.each(Object.entries(drops))('that was dropped by %s before the kill', async (_, drop) => {
    await ok('add', '--sealed', sealed)
    await ok('add', plain)
    await until('the keys on disk', () => lstat(keysFile).catch(() => undefined))
    await drop()
    await killWith()
    expect(await startAgain()).toBe('')
    expect(await list()).toEqual([])
    await stop()
  })
})

describe('a file of kept keys that is not as it was left', () => {
  const changes: Readonly<Record<string, readonly [change: () => Promise<void>, says: RegExp]>> = {
    rubbish: [() => writeFile(keysFile, 'rubbish\n'), /can't be restored.*no JSON/],
    'cut short': [async () => writeFile(keysFile, (await readFile(keysFile)).subarray(0, 100)), /can't be restored/],
    'of a later version': [
      async () => writeFile(keysFile, (await readFile(keysFile, 'utf8')).replace('"version":1', '"version":2')),
      /version/,
    ],
    'a link': [
      async () => {
        await rename(keysFile, join(home.path, 'moved'))
        await symlink(join(home.path, 'moved'), keysFile)
      },
      /link/,
    ],
  }

  test.each(Object.entries(changes))('%s: the agent starts without, and says why', async (_, [change, says]) => {
    await ok('add', '--sealed', sealed)
    await killWith('the sealed one')
    await change()
    expect(await startAgain()).toMatch(says)
    expect(await list()).toEqual([])
    expect((await troubles()).join('\n')).toMatch(says)
    // What a link leads to is not the agent's.
    if ((await lstat(keysFile)).isSymbolicLink()) return stop()
    // It works all the same, and what it keeps is good again.
    await ok('add', '--sealed', sealed)
    await killWith('the sealed one')
    await startAgain()
    expect(await comments()).toEqual(['the sealed one'])
    await stop()
  })
})

test('an agent elsewhere keeps its keys beside its own socket', async () => {
  const elsewhere = join(home.path, 'elsewhere')
  await runOrThrow('/bin/mkdir', ['-m', '700', elsewhere])
  const socket = join(elsewhere, 'agent.socket')
  const fixed = pid
  await startAgain('-a', socket)
  await ok('add', '--sealed', sealed)
  await until('the keys on disk', async () => (await readdir(elsewhere)).find(name => name.endsWith('.keys')))
  process.kill(pid, 'SIGKILL')
  await waitForEnd(pid)
  expect(await startAgain('-a', socket)).toMatch(/sealed: 1$/m)
  expect(await comments()).toEqual(['the sealed one'])
  await ok('agent', 'stop', '-a', socket)
  expect(await readdir(elsewhere)).toEqual([])

  // The other one knows nothing of it.
  expect(await startAgain()).toBe('')
  expect(pid).toBe(fixed)
  expect(await list()).toEqual([])
  await stop()
})

test('the ledger goes on after a kill, and is whole', async () => {
  await ok('add', '--sealed', sealed)
  await killWith('the sealed one')
  await startAgain()
  expect(await ok('log', '--verify')).toMatch(/^ok the ledger is whole/)
  const entries: { action: string }[] = JSON.parse(await ok('log', '--json'))
  expect(entries.map(({ action }) => action).filter(action => action !== 'recover')).toEqual(['start', 'add', 'start'])
  await stop()
})

test('a second agent that is started by hand beside a running one takes nothing from it', async () => {
  await ok('add', '--sealed', sealed)
  expect((await keytool(['agent', '-D'], { env: home.env })).status).toBe(4)
  await killWith('the sealed one')
  await startAgain()
  expect(await comments()).toEqual(['the sealed one'])
  await stop()
})
