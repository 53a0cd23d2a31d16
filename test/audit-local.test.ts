import { chmod, chown, copyFile, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { jest } from '@jest/globals'
import { expectRefused, runIn, succeed, takeSnapshot } from './cli-fixture.js'
import { type Home, temporaryHome } from './world/home.js'
import { peerPath } from './world/peers.js'
import { run, runOrThrow } from './world/run.js'
import { startSshAgent } from './world/ssh-agent.js'

// `keytool audit` of this machine's keys, made by ssh-keygen and puttygen as people have them.

jest.setTimeout(120_000)

interface Found {
  readonly path: string | null
  readonly kind: string
  readonly agent?: boolean
  readonly lastUse?: string | null
  readonly findings: readonly { readonly code: string; readonly severity: string; readonly hint?: string }[]
}

let home: Home

beforeEach(async () => {
  home = await temporaryHome()
})
afterEach(() => home.dispose())

const at = (name: string): string => join(home.ssh, name)

async function make(name: string, passphrase = 'secret', ...more: string[]): Promise<void> {
  const type = more.includes('-t') ? [] : ['-t', 'ed25519']
  const args = ['-q', ...type, '-a', '8', '-N', passphrase, '-C', name, ...more, '-f', at(name)]
  await runOrThrow(peerPath('ssh-keygen'), args, { env: home.env })
}

async function audit(...args: string[]): Promise<readonly Found[]> {
  return JSON.parse(await succeed(home, ['audit', '--json', ...args]))
}

/** What was found, by the names of the files. */
async function codes(...args: string[]): Promise<Record<string, string[]>> {
  const found = await audit(...args)
  return Object.fromEntries(
    found.map(({ path, kind, findings }) => [
      path?.replace(`${home.ssh}/`, '') ?? kind,
      findings.map(({ code }) => code),
    ]),
  )
}

test('nothing is said against a key that is kept well, and nothing is changed', async () => {
  await make('id_ed25519')
  await writeFile(at('known_hosts'), '')
  await copyFile(at('id_ed25519.pub'), at('authorized_keys'))
  await writeFile(at('config'), 'Host *\n')
  const before = await takeSnapshot(home.path)
  expect(await codes()).toEqual({ id_ed25519: [], 'id_ed25519.pub': [] })
  const text = await succeed(home, ['audit', '--strict'])
  expect(text).toMatch(
    /^~\/\.ssh\/id_ed25519 +256 ED25519 +aes256-ctr, bcrypt 8 rounds +last use unknown +id_ed25519\n/,
  )
  expect(text).toMatch(/\n2 key files: nothing to be said against them\n$/)
  expect(await takeSnapshot(home.path)).toEqual(before)
})

test('each fault by its name', async () => {
  await make('plain', '')
  await make('open')
  await chmod(at('open'), 0o640)
  await make('both', '')
  await chmod(at('both'), 0o644)
  await make('small', 'secret', '-t', 'rsa', '-b', '1024')
  await make('pem', 'secret', '-t', 'rsa', '-b', '2048', '-m', 'PEM')
  await make('lost')
  await rm(at('lost'))
  await make('swapped')
  await make('other')
  await copyFile(at('lost.pub'), at('swapped.pub'))
  await copyFile(at('other'), at('copy'))
  await chmod(at('other.pub'), 0o666)
  await writeFile(at('cut'), (await readFile(at('other'))).subarray(0, 200), { mode: 0o600 })
  await writeFile(join(home.path, 'passphrase'), 'secret\n')
  const ppk = ['-t', 'ed25519', '--ppk-param', 'version=2', '--new-passphrase', join(home.path, 'passphrase')]
  await runOrThrow(peerPath('puttygen'), [...ppk, '-o', at('old.ppk'), '-q'], { env: home.env })
  expect(await codes()).toEqual({
    both: ['exposed', 'unprotected'],
    'both.pub': [],
    copy: ['duplicate'],
    cut: ['unreadable'],
    'lost.pub': ['orphaned'],
    'old.ppk': ['weak-kdf'],
    open: ['exposed'],
    'open.pub': [],
    other: ['duplicate'],
    'other.pub': ['exposed'],
    pem: ['weak-kdf'],
    'pem.pub': [],
    plain: ['unprotected'],
    'plain.pub': [],
    small: ['too-small'],
    'small.pub': [],
    swapped: ['mismatch'],
    'swapped.pub': ['orphaned'],
  })
  const grades = Object.fromEntries(
    (await audit()).map(({ path, findings }) => [path, findings.map(each => each.severity)]),
  )
  expect(grades[at('both')]).toEqual(['broken', 'weak'])
  expect(grades[at('open')]).toEqual(['weak'])
  const { status, stdout } = await runIn(home, ['audit', '--strict'])
  expect(status).toBe(1)
  expect(stdout).toContain('broken: others may get at it (0644) (chmod go= ~/.ssh/both)')
  expect(stdout).toContain('(keytool passphrase ~/.ssh/plain)')
  expect(stdout).toMatch(/\n17 key files: 1 broken, 9 weak, 4 notes\n$/)
})

test('a folder that others may write to, files of another user’s', async () => {
  await make('id_ed25519')
  await chmod(home.ssh, 0o770)
  await chown(at('id_ed25519'), 65534, 65534)
  expect(await codes()).toEqual({
    [home.ssh]: ['exposed'],
    id_ed25519: ['foreign-owner'],
    'id_ed25519.pub': [],
  })
})

test('an expired certificate is stale', async () => {
  await make('id_ed25519')
  await make('ca', '')
  const sign = ['-s', at('ca'), '-I', 'me', '-n', 'me', '-V', '20200101:20210101', at('id_ed25519.pub')]
  await runOrThrow(peerPath('ssh-keygen'), sign, { env: home.env })
  expect(await codes()).toMatchObject({ 'id_ed25519-cert.pub': ['stale'] })
})

test('sessions and agent.json: keys elsewhere are looked at, files that are gone are named', async () => {
  await make('far', '')
  const far = join(home.path, 'far')
  await rename(at('far'), far)
  await rm(at('far.pub'))
  await succeed(home, ['session', 'save', 'web', 'hana@web.example', '--key', far])
  await runIn(home, ['session', 'save', 'mail', 'hana@mail.example', '--key', join(home.path, 'gone')])
  await mkdir(join(home.path, '.config/keytool'), { recursive: true, mode: 0o700 })
  const rules = { version: 1, keys: [{ file: '~/rule', atLogin: true }] }
  await writeFile(join(home.path, '.config/keytool/agent.json'), JSON.stringify(rules))
  expect(await codes()).toEqual({
    [far]: ['unprotected'],
    [join(home.path, 'gone')]: ['orphaned'],
    [join(home.path, 'rule')]: ['orphaned'],
  })
  expect(await succeed(home, ['audit'])).toContain('session mail names it, but it is not there')
  // A file that some session names and that is no key does not stop the rest.
  await writeFile(join(home.path, 'gone'), 'hello')
  expect(await codes()).toMatchObject({ [join(home.path, 'gone')]: ['unreadable'] })
})

test('what an agent holds: beside its file it is noted, without one it is an orphan', async () => {
  await make('id_ed25519', '')
  await make('other', '')
  const agent = await startSshAgent(home)
  try {
    await runOrThrow(peerPath('ssh-add'), ['-q', at('id_ed25519'), at('other')], { env: agent.env })
    await rm(at('other'))
    const { stdout } = await runIn(home, ['audit', '--json'], { env: agent.env })
    const found: Found[] = JSON.parse(stdout)
    expect(found.find(({ path }) => path === at('id_ed25519'))?.agent).toBe(true)
    expect(found.filter(({ kind }) => kind === 'agent')).toMatchObject([
      { path: null, findings: [{ code: 'orphaned' }] },
    ])
    // Its public half is no orphan: the agent has the private one.
    expect(found.find(({ path }) => path === at('other.pub'))?.findings).toEqual([])
  } finally {
    await agent.stop()
  }
})

test('files and folders that are named, and those alone', async () => {
  await make('id_ed25519', '')
  await make('other', '')
  const folder = join(home.path, 'keys')
  await mkdir(folder, { mode: 0o700 })
  await rename(at('other'), join(folder, 'other'))
  expect(Object.keys(await codes(folder))).toEqual([join(folder, 'other')])
  expect(Object.keys(await codes(at('id_ed25519')))).toEqual(['id_ed25519'])
  const { status, stdout, stderr } = await runIn(home, ['audit', at('id_ed25519'), join(home.path, 'none')])
  expect({ status, stderr }).toEqual({ status: 3, stderr: expect.stringContaining('none is not there') })
  expect(stdout).toContain('id_ed25519')
})

test('refusals', async () => {
  await writeFile(join(home.path, 'text'), 'hello\n')
  await copyFile(join(home.path, 'text'), at('authorized_keys'))
  for (const args of [
    ['-p', '22'],
    ['--known', 'x'],
    ['--password-file', 'x', '.ssh'],
  ]) {
    await expectRefused(home, ['audit', ...args], { status: 2, code: 'usage', says: /audit --remote HOST/ })
  }
  for (const path of [join(home.path, 'text'), at('authorized_keys')]) {
    expect(await runIn(home, ['audit', path])).toMatchObject({ status: 6 })
  }
})

test('comments and names of files can’t act on the terminal', async () => {
  await make('id_\u001b[31m', 'secret', '-C', 'x\u001b]0;y\u0007')
  const { stdout } = await runIn(home, ['audit'])
  expect(stdout).toContain('\\u{1b}')
  for (const control of ['\u001b', '\u0007']) expect(stdout).not.toContain(control)
  expect((await run(peerPath('ssh-keygen'), ['-l', '-f', at('id_\u001b[31m')], { env: home.env })).status).toBe(0)
})
