import { readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { jest } from '@jest/globals'
import { runIn, succeed } from './cli-fixture.js'
import { type Home, temporaryHome } from './world/home.js'
import { peerPath } from './world/peers.js'
import { runOrThrow } from './world/run.js'

// `convert`: what is kept, what is changed, and where it goes. That others read the results, test/formats-peers shows.

jest.setTimeout(90_000)

const OLD = 'the old passphrase'
const NEW = 'the new passphrase'
const COMMENT = 'hána@laptop with spaces'
const cheap = ['--memory', '16', '--passes', '2']

let home: Home
let line: string
const at = (name: string) => join(home.path, name)

beforeAll(async () => {
  home = await temporaryHome()
  await writeFile(at('old'), `${OLD}\n`)
  await writeFile(at('new'), `${NEW}\n`)
  const sshKeygen = ['-q', '-t', 'ed25519', '-C', COMMENT]
  await runOrThrow(peerPath('ssh-keygen'), [...sshKeygen, '-N', '', '-f', at('plain')], { env: home.env })
  line = await readFile(at('plain.pub'), 'utf8')
  await succeed(home, ['convert', 'plain', '--to', 'ppk', '-o', 'plain.ppk'])
  const sealing = ['--new-passphrase-file', 'old']
  await succeed(home, ['convert', 'plain', '--to', 'openssh', '--rounds', '1', '-o', 'sealed', ...sealing])
  await succeed(home, ['convert', 'plain', '--to', 'ppk', '-o', 'sealed.ppk', ...cheap, ...sealing])
})
afterAll(() => home.dispose())

const convert = (from: string, to: string, out: string, ...more: string[]) =>
  succeed(home, ['convert', from, '--to', to, '-o', out, '--force', ...more])
const unlocking = (name: string) => (name.startsWith('sealed') ? ['--passphrase-file', 'old'] : [])
async function inspect(name: string): Promise<Record<string, unknown>> {
  const [facts] = JSON.parse(await succeed(home, ['inspect', name, '--json']))
  return facts
}
/** The public line of a private key, which only the right passphrase opens. */
async function opening(name: string, passphrase: string): Promise<string> {
  await convert(name, 'openssh', 'opened', '--no-passphrase', '--passphrase-file', passphrase)
  return succeed(home, ['public', 'opened'])
}

const sources = ['plain', 'plain.ppk', 'sealed', 'sealed.ppk']
const targets = ['openssh', 'ppk']
const pairs = sources.flatMap(from => targets.map(to => [from, to] as const))
const costs = { openssh: ['--rounds', '1'], ppk: cheap } as Record<string, string[]>

describe.each(pairs)('%s to %s', (from, to) => {
  test('keeps the key, its comment and its passphrase', async () => {
    await convert(from, to, 'out', ...unlocking(from), ...(costs[to] ?? []))
    expect(await inspect('out')).toMatchObject({
      format: to === 'ppk' ? 'ppk3' : 'openssh',
      encrypted: from.startsWith('sealed'),
    })
    expect(await opening('out', 'old')).toBe(line)
  })

  test('--new-passphrase-file changes the passphrase', async () => {
    await convert(from, to, 'out', ...unlocking(from), ...(costs[to] ?? []), '--new-passphrase-file', 'new')
    expect(await opening('out', 'new')).toBe(line)
    const refused = await runIn(home, ['convert', 'out', '--to', 'ppk', '--passphrase-file', 'old'])
    expect(refused).toMatchObject({ status: 5, stdout: '' })
  })

  test('--no-passphrase drops it', async () => {
    await convert(from, to, 'out', ...unlocking(from), '--no-passphrase')
    expect(await inspect('out')).toMatchObject({ encrypted: false, comment: COMMENT })
    expect(await succeed(home, ['public', 'out'])).toBe(line)
  })
})

describe('costs and ciphers are those that were asked for', () => {
  test.each([
    ['openssh', [], 'aes256-ctr', { name: 'bcrypt', rounds: 24 }],
    ['openssh', ['--rounds', '3'], 'aes256-ctr', { name: 'bcrypt', rounds: 3 }],
    ['openssh', ['--rounds', '1', '--cipher', 'aes128-cbc'], 'aes128-cbc', { name: 'bcrypt', rounds: 1 }],
    [
      'openssh',
      ['--rounds', '1', '--cipher', 'aes256-gcm@openssh.com'],
      'aes256-gcm@openssh.com',
      { name: 'bcrypt', rounds: 1 },
    ],
    ['ppk', [], 'aes256-cbc', { name: 'Argon2id', memory: 8192, passes: 21, parallelism: 1 }],
    [
      'ppk',
      ['--argon2', 'd', '--memory', '64', '--passes', '3', '--parallel', '4'],
      'aes256-cbc',
      { name: 'Argon2d', memory: 64, passes: 3, parallelism: 4 },
    ],
    ['ppk', ['--argon2', 'i', ...cheap], 'aes256-cbc', { name: 'Argon2i', memory: 16, passes: 2, parallelism: 1 }],
    ['ppk', ['--argon2', 'id', ...cheap], 'aes256-cbc', { name: 'Argon2id', memory: 16, passes: 2, parallelism: 1 }],
  ] as [string, string[], string, object][])('%s %j', async (to, options, cipher, kdf) => {
    await convert('sealed', to, 'out', ...options, '--passphrase-file', 'old')
    expect(await inspect('out')).toMatchObject({ encrypted: true, cipher, kdf })
    expect(await opening('out', 'old')).toBe(line)
  })
})

describe('where it goes', () => {
  test('without -o, and with -o -, to stdout, and nothing beside it', async () => {
    const before = (await readdir(home.path)).sort()
    const text = await succeed(home, ['convert', 'plain', '--to', 'ppk'])
    expect(text).toBe(await readFile(at('plain.ppk'), 'utf8'))
    expect(await succeed(home, ['convert', 'plain', '--to', 'ppk', '-o', '-'])).toBe(text)
    expect((await readdir(home.path)).sort()).toEqual(before)
  })

  test('with -o to a file, 0600, and one line about it', async () => {
    const text = await convert('plain', 'ppk', 'fresh.ppk')
    expect(text).toMatch(/^ok fresh\.ppk {2}PuTTY version 3, not encrypted\n$/)
    expect((await stat(at('fresh.ppk'))).mode & 0o777).toBe(0o600)
  })

  test('in place', async () => {
    await convert('sealed', 'openssh', 'place', '--rounds', '1', '--passphrase-file', 'old')
    await convert('place', 'ppk', 'place', ...cheap, '--passphrase-file', 'old')
    expect(await inspect('place')).toMatchObject({ format: 'ppk3', encrypted: true, comment: COMMENT })
    await convert('place', 'openssh', 'place', '--rounds', '1', '--passphrase-file', 'old')
    expect(await opening('place', 'old')).toBe(line)
  })
})

test('the result of openssh to openssh is a fresh one: salt and check numbers are not those of before', async () => {
  await convert('sealed', 'openssh', 'one', '--rounds', '1', '--passphrase-file', 'old')
  await convert('sealed', 'openssh', 'two', '--rounds', '1', '--passphrase-file', 'old')
  expect(await readFile(at('one'))).not.toEqual(await readFile(at('two')))
})
