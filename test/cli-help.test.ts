import { symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { jest } from '@jest/globals'
import { runIn, succeed } from './cli-fixture.js'
import { type Home, temporaryHome } from './world/home.js'
import { keytoolPath, run } from './world/run.js'

// How the program introduces itself: help, version, the overview, its two names.

jest.setTimeout(90_000)

const commands = [
  ...['setup', 'gen', 'inspect', 'fingerprint', 'public', 'convert', 'passphrase', 'comment'],
  ...['agent', 'add', 'list', 'remove', 'lock', 'unlock', 'reencrypt', 'keychain', 'log'],
  ...['install-pubkey', 'remove-pubkey', 'rotate', 'audit', 'compromised', 'doctor'],
  ...['session', 'known-hosts', 'tunnel', 'connect'],
]
const details = [
  ...['session save', 'session list', 'session show', 'session edit', 'session remove'],
  ...['session export', 'session import', 'known-hosts list', 'known-hosts remove'],
  ...['tunnel status', 'tunnel stop', 'tunnel install', 'tunnel uninstall'],
  ...['keychain list', 'keychain check', 'keychain forget'],
]

let home: Home

beforeEach(async () => {
  home = await temporaryHome()
})
afterEach(() => home.dispose())

test('--help, -h and help name every command, in lines that fit a terminal', async () => {
  const text = await succeed(home, ['--help'])
  expect(await succeed(home, ['-h'])).toBe(text)
  expect(await succeed(home, ['help'])).toBe(text)
  expect([...text.matchAll(/^ {2}([a-z-]+) {2}/gm)].map(match => match[1])).toEqual(commands)
  for (const line of text.split('\n')) expect(line.length).toBeLessThanOrEqual(80)
})

test.each([...commands, ...details])('%s --help has an example, and does nothing', async command => {
  const words = command.split(' ')
  const text = await succeed(home, [...words, '--help'])
  expect(text).toMatch(new RegExp(`^Usage: keytool ${command}\\b`))
  expect(text).toMatch(new RegExp(`\nExamples?:\n  (eval "\\$\\()?keytool ${words[0]}`))
  expect(text).toMatch(/\n$/)
  expect(text).not.toContain('undefined')
  expect(await succeed(home, [...words, '-h'])).toBe(text)
  // Help is help, whatever stands beside it.
  expect(await succeed(home, [...words, '--help', '--quiet'])).toBe(text)
})

test.each([...commands])('help %s is the same as its --help', async command => {
  expect(await succeed(home, ['help', command])).toBe(await succeed(home, [command, '--help']))
})

test.each(['gen', 'inspect', 'fingerprint', 'public', 'convert', 'session list', 'session show', 'agent status'])(
  '%s takes --json, --quiet and --no-color',
  async command => {
    const text = await succeed(home, [...command.split(' '), '--help'])
    for (const flag of ['--json', '-q, --quiet', '--no-color', '-h, --help']) expect(text).toContain(flag)
  },
)

test('--version and -V', async () => {
  const text = await succeed(home, ['--version'])
  expect(text).toMatch(/^keytool \d+\.\d+\.\d+\n$/)
  expect(await succeed(home, ['-V'])).toBe(text)
})

describe('alone, it says where you stand and what comes next', () => {
  test('with nothing yet', async () => {
    const text = await succeed(home, [])
    expect(text).toMatch(/keys .*none[\s\S]*agent .*none[\s\S]*sessions .*none/)
    expect(text).toMatch(/\nNext: keytool setup {4}all commands: /)
  })

  test('with a key and no agent', async () => {
    await succeed(home, ['gen', '--no-passphrase'])
    const text = await succeed(home, [])
    expect(text).toMatch(/keys +~\/\.ssh\/id_ed25519\n/)
    expect(text).toMatch(/\nNext: eval "\$\(keytool agent\)"/)
  })

  test('with sessions, by their names', async () => {
    await succeed(home, ['session', 'save', 'mail', 'hana@mail.example'])
    expect(await succeed(home, [])).toMatch(/sessions +mail\n/)
  })

  test('with a session file that is damaged, it still answers', async () => {
    await succeed(home, ['session', 'save', 'mail', 'hana@mail.example'])
    await writeFile(join(home.path, '.config/keytool/sessions/mail.json'), '{')
    const { status, stdout, stderr } = await runIn(home, [])
    expect(status).toBe(0)
    expect(stdout + stderr).toContain('mail')
  })
})

describe('called ssh-keytool', () => {
  const called = (path: string, ...args: string[]) => run(path, args, { env: home.env, cwd: home.path })

  test.each(['symbolic link', 'name with an ending'])('by a %s, it says so in every text', async kind => {
    const path = join(home.path, kind === 'symbolic link' ? 'ssh-keytool' : 'ssh-keytool.cjs')
    await symlink(keytoolPath, path)
    for (const args of [[], ['--help'], ['gen', '--help'], ['session'], ['session', '--help'], ['frobnicate']]) {
      const { stdout, stderr } = await called(path, ...args)
      expect(stdout + stderr).toContain('ssh-keytool')
      expect(stdout + stderr).not.toMatch(/(?<!ssh-)keytool(?!:\/)/)
    }
    expect((await called(path, '--version')).stdout).toMatch(/^ssh-keytool /)
    expect((await called(path, 'inspect', 'absent')).stderr).toMatch(/^ssh-keytool: /)
    expect((await called(path, 'gen', '--no-passphrase')).stdout).toContain('Next: ssh-keytool ')
    // The hint of an error that a library threw, too.
    expect((await called(path, 'session', 'show', 'absent')).stderr).not.toMatch(/(?<!ssh-)keytool/)
  })

  test('by another name it is keytool', async () => {
    const path = join(home.path, 'kt')
    await symlink(keytoolPath, path)
    expect((await called(path, '--version')).stdout).toMatch(/^keytool /)
  })
})

describe('off a terminal', () => {
  test('no colour and no marks: ok', async () => {
    const text = await succeed(home, ['gen', '--no-passphrase'], { env: { ...home.env, TERM: 'xterm-256color' } })
    expect(text).toMatch(/^ok private key/)
    for (const mark of ['✓', '✗', '\u001b']) expect(text).not.toContain(mark)
  })

  test('--quiet prints errors only', async () => {
    expect(await succeed(home, ['gen', '--no-passphrase', '--quiet'])).toBe('')
    expect(await succeed(home, ['session', 'save', 'mail', 'mail.example', '-q'])).toBe('')
    expect(await succeed(home, ['session', 'remove', 'mail', '-q'])).toBe('')
    const refused = await runIn(home, ['gen', '--no-passphrase', '--quiet'])
    expect(refused).toMatchObject({ status: 4, stdout: '', stderr: expect.stringContaining('is there already') })
  })

  test('--quiet does not swallow the data that was asked for', async () => {
    await succeed(home, ['gen', '--no-passphrase'])
    expect(await succeed(home, ['public', '.ssh/id_ed25519', '-q'])).toMatch(/^ssh-ed25519 /)
    expect(await succeed(home, ['convert', '.ssh/id_ed25519', '--to', 'ppk', '-q'])).toMatch(/^PuTTY-/)
  })

  test('gen --json gives every fact that its text shows', async () => {
    const facts = JSON.parse(await succeed(home, ['gen', '--no-passphrase', '-C', 'a label', '--json']))
    const [inspected] = JSON.parse(await succeed(home, ['inspect', '.ssh/id_ed25519', '--json']))
    expect(facts).toMatchObject({
      path: join(home.ssh, 'id_ed25519'),
      publicPath: join(home.ssh, 'id_ed25519.pub'),
      format: 'openssh',
      type: 'ssh-ed25519',
      bits: 256,
      comment: 'a label',
      encrypted: false,
      fingerprint: inspected.fingerprint,
    })
  })
})
