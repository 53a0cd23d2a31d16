import { chmod, chown, cp, mkdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { jest } from '@jest/globals'
import { takeSnapshot } from './cli-fixture.js'
import { type Home, temporaryHome } from './world/home.js'
import { keytoolPath, type RunResult, run } from './world/run.js'

// Users without a home, without a name, without a right to write. The tests run as root, who may write anywhere, so
// another user is needed: one without an entry in passwd, as in many a container.

jest.setTimeout(120_000)

const NOBODY = 12345

let home: Home
let program: string
const at = (name: string) => join(home.path, name)

beforeAll(async () => {
  home = await temporaryHome()
  await chmod(home.path, 0o755)
  // A copy that this user can read, wherever the program itself may lie.
  await cp(dirname(keytoolPath), at('program'), { recursive: true })
  program = at('program/keytool.cjs')
  await mkdir(at('own'))
  await chown(at('own'), NOBODY, NOBODY)
  await mkdir(at('foreign'))
  await writeFile(at('foreign/secret'), 'a secret\n', { mode: 0o600 })
})
afterAll(() => home.dispose())

/** Runs the program as the user that has no name. */
function asNobody(args: readonly string[], env: Record<string, string>): Promise<RunResult> {
  const { PATH = '', LANG = '' } = home.env
  const user = ['--reuid', String(NOBODY), '--regid', String(NOBODY), '--clear-groups']
  return run('/usr/bin/setpriv', [...user, process.execPath, program, ...args], {
    env: { PATH, LANG, ...env },
    cwd: at('own'),
  })
}

/** A refusal in our own words. */
function expectClear({ status, stdout, stderr }: RunResult, wanted: number, says: RegExp): void {
  expect({ status, stdout, stderr: stderr.slice(0, 300) }).toEqual({
    status: wanted,
    stdout: '',
    stderr: expect.stringMatching(/^keytool: .*(\n {2}.*){0,2}\n$/),
  })
  expect(stderr).toMatch(says)
  expect(stderr).not.toContain('unexpected')
}

describe('a user without a name, with a home', () => {
  const env = () => ({ HOME: at('own') })

  test('makes a key, whose comment is the host alone', async () => {
    const made = await asNobody(['gen', '--no-passphrase'], env())
    expect(made).toMatchObject({ status: 0, stderr: '', stdout: expect.stringContaining('~/.ssh/id_ed25519') })
    expect(await readFile(at('own/.ssh/id_ed25519.pub'), 'utf8')).toMatch(/^ssh-ed25519 \S+ \S+\n$/)
  })

  test('saves sessions, and sees where it stands', async () => {
    expect(await asNobody(['session', 'save', 'mail', 'mail.example'], env())).toMatchObject({ status: 0, stderr: '' })
    expect(await asNobody([], env())).toMatchObject({ status: 0, stdout: expect.stringContaining('mail') })
  })
})

describe.each([
  ['no HOME', {}],
  ['an empty HOME', { HOME: '' }],
] as [string, Record<string, string>][])('a user without a name and with %s', (_, env) => {
  test.each([[['--version']], [['--help']], [['gen', '--help']]])('%j needs none', async args => {
    const { status, stdout, stderr } = await asNobody(args, env)
    expect({ status, stderr: stderr.slice(0, 300) }).toEqual({ status: 0, stderr: '' })
    expect(stdout).toContain('keytool')
  })

  test('a file that is named can be made and read', async () => {
    const made = await asNobody(['gen', '--no-passphrase', '-f', at('own/named'), '--force', '-C', 'c'], env)
    expect({ status: made.status, stderr: made.stderr.slice(0, 300) }).toEqual({ status: 0, stderr: '' })
    expect(await asNobody(['inspect', at('own/named')], env)).toMatchObject({ status: 0, stderr: '' })
  })

  test.each([[['gen', '--no-passphrase']], [['session', 'list']]])('%j is refused in clear words', async args => {
    expectClear(await asNobody(args, env), 1, /home|HOME/)
  })
})

test('root with no HOME at all: the program starts', async () => {
  const { PATH = '' } = home.env
  expect(await run(process.execPath, [program, '--version'], { env: { PATH } })).toMatchObject({
    status: 0,
    stderr: '',
  })
})

describe('what the user may not write or read', () => {
  test.each([
    [['gen', '--no-passphrase'], /\.ssh.*permission denied/],
    [['session', 'save', 'mail', 'mail.example'], /permission denied/],
    [['session', 'remove', 'mail'], /no session mail/],
  ] as [string[], RegExp][])('a home of somebody else: %j', async (args, says) => {
    const before = await takeSnapshot(home.path)
    expectClear(await asNobody(args, { HOME: at('foreign') }), args[1] === 'remove' ? 3 : 1, says)
    expect(await takeSnapshot(home.path)).toEqual(before)
  })

  test('a file in a folder of somebody else', async () => {
    const before = await takeSnapshot(home.path)
    for (const args of [
      ['gen', '--no-passphrase', '-f', at('foreign/key')],
      ['gen', '--no-passphrase', '-f', at('foreign/deep/key')],
      ['gen', '--no-passphrase', '-f', at('foreign/key'), '--force'],
    ]) {
      expectClear(await asNobody(args, { HOME: at('own') }), 1, /foreign.*permission denied/)
    }
    expect(await takeSnapshot(home.path)).toEqual(before)
  })

  test('a file of somebody else', async () => {
    for (const args of [
      ['inspect', at('foreign/secret')],
      ['public', at('foreign/secret')],
      ['convert', at('foreign/secret'), '--to', 'ppk'],
      ['gen', '-f', at('own/never'), '--passphrase-file', at('foreign/secret')],
    ]) {
      expectClear(await asNobody(args, { HOME: at('own') }), 1, /secret can't be read: permission denied/)
    }
  })

  test('a home that is not there', async () => {
    const before = await takeSnapshot(home.path)
    expectClear(await asNobody(['gen', '--no-passphrase'], { HOME: '/nonexistent' }), 1, /\/nonexistent|~/)
    expect((await asNobody([], { HOME: '/nonexistent' })).status).toBe(0)
    expect(await takeSnapshot(home.path)).toEqual(before)
  })

  test('a folder that may not be read', async () => {
    await mkdir(at('closed'), { mode: 0o700 })
    expectClear(await asNobody(['inspect', at('closed')], { HOME: at('own') }), 1, /closed.*permission denied/)
  })
})
