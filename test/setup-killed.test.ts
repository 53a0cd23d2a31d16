import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { jest } from '@jest/globals'
import { type EmptyHome, type Hosting, openEmptyHome, openHosting } from './setup-fixture.js'
import { eventually, greetingAt } from './tunnel-cli-fixture.js'
import { findFreePort } from './world/port.js'

// `keytool setup` ended by SIGKILL before and after the effect of each of its steps, and `--undo` after each of its own.

jest.setTimeout(600_000)

/** This file's alone. */
const host = '127.0.123.1'
const steps = ['key', 'login', 'agent', 'held', 'host', 'server', 'session', 'tunnel'] as const

/**
 * Ends the process when its record is about to say (`before`), or says (`after`), that a step is `begun`, `done` or `gone`:
 * between two such moments is one effect.
 */
const hook = `
const fs = require('node:fs'), { dirname } = require('node:path')
const [step, state, when] = (process.env.KILL_AT || '').split(' ')
const rename = fs.renameSync
const madeIn = file => {
  try { return JSON.parse(fs.readFileSync(file, 'utf8')).steps[step] } catch { return undefined }
}
fs.renameSync = (from, to) => {
  const isRecord = fs.realpathSync(dirname(to)).endsWith('/keytool/setup')
  const made = isRecord ? madeIn(from) : undefined
  const isIt = isRecord && (state === 'gone' ? madeIn(to) && !made : made && made.state === state)
  if (!isIt) return rename(from, to)
  if (when === 'after') rename(from, to)
  process.kill(process.pid, 'SIGKILL')
  for (;;);
}
`

let hosting: Hosting
let desk: EmptyHome
let port: number

beforeAll(async () => {
  hosting = await openHosting([host])
})
afterAll(() => hosting?.dispose())
beforeEach(async () => {
  await hosting.reset()
  desk = await openEmptyHome(true)
  port = await findFreePort()
})
afterEach(() => desk.dispose())

const at = () => ['-p', String(hosting.sshd.port), `${hosting.user.name}@${host}`]
const trust = () => ['--host-key', hosting.sshd.fingerprints.ed25519, '--password-file', hosting.password]
const line = () => ['--generate-passphrase', '-L', `${port}:127.0.0.1:${hosting.sshd.port}`, ...trust(), ...at()]

async function killedAt(where: string, args: readonly string[]): Promise<void> {
  const file = join(hosting.user.home, '..', 'hook.cjs')
  await writeFile(file, hook)
  const env = { ...desk.env, KILL_AT: where, NODE_OPTIONS: `--require ${file}` }
  const result = await desk.setup(args, { env })
  expect({ where, ...result }).toMatchObject({ where, signal: 'SIGKILL' })
}

async function finish(args: readonly string[]): Promise<string> {
  const { status, stdout, stderr } = await desk.setup(args)
  expect({ status, stderr, stdout }).toEqual({ status: 0, stderr: '', stdout })
  return stdout
}

test('killed at every step, before and after its effect, it goes on from there; so does undoing', async () => {
  const [home, account] = [await desk.tree(), await hosting.account()]
  for (const step of steps) {
    await killedAt(`${step} begun after`, line())
    await killedAt(`${step} done before`, line())
  }
  await finish(line())
  expect(await greetingAt(port)).toMatch(/^SSH-2\.0-/)
  expect(await readFile(hosting.user.authorizedKeysFile, 'utf8')).toBe(
    await readFile(join(desk.home.ssh, 'id_ed25519.pub'), 'utf8'),
  )
  expect((await desk.keyring?.read('index'))?.match(/SHA256:/g)).toHaveLength(1)
  expect(await finish(at())).toContain('nothing was changed: all of it was there already')

  for (const step of [...steps].reverse()) {
    await killedAt(`${step} gone before`, ['--undo', '--yes', ...trust(), ...at()])
  }
  await finish(['--undo', '--yes', ...at()])
  expect(await desk.tree()).toEqual(home)
  expect(await hosting.account()).toEqual(account)
})

// What was done is not noted as done.
test.each(['key', 'held', 'server', 'tunnel'] as const)(
  'killed in the middle (%s), it can be taken back at once',
  async step => {
    const [home, account] = [await desk.tree(), await hosting.account()]
    await killedAt(`${step} done before`, line())
    await finish(['--undo', '--yes', ...trust(), ...at()])
    expect(await desk.tree()).toEqual(home)
    expect(await hosting.account()).toEqual(account)
    await eventually(desk.processes, left => left.length === 0)
  },
)
