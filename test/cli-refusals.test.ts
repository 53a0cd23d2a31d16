import { mkdir, readFile, symlink, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { jest } from '@jest/globals'
import { expectRefused, type Refusal, runIn, succeed, takeSnapshot } from './cli-fixture.js'
import { type Home, temporaryHome } from './world/home.js'
import { peerPath } from './world/peers.js'
import { runOrThrow } from './world/run.js'
import { startKeytool } from './world/start.js'

// Bad input of every kind, to every command of keys: the right status, a clear text, and nothing on disk has changed.

jest.setTimeout(90_000)

const RIGHT = 'correct horse battery'
const WRONG = 'wrong donkey staple'

let home: Home

beforeAll(async () => {
  home = await temporaryHome()
  const at = (name: string) => join(home.path, name)
  const write = (name: string, content: string | Buffer) => writeFile(at(name), content, { mode: 0o600 })
  const sshKeygen = (...args: string[]) =>
    runOrThrow(peerPath('ssh-keygen'), ['-q', '-t', 'ed25519', '-C', 'a comment', ...args], { env: home.env })

  await write('right', `${RIGHT}\n`)
  await write('wrong', `${WRONG}\n`)
  await write('blank', '\n')
  await write('nothing', '')
  await write('nul', `${RIGHT.slice(0, 7)}\0${RIGHT.slice(7)}\n`)
  // One round of bcrypt is enough where the passphrase is not the matter.
  await sshKeygen('-a', '1', '-N', RIGHT, '-f', at('sealed'))
  await sshKeygen('-N', '', '-f', at('plain'))
  await succeed(home, ['convert', 'plain', '--to', 'ppk', '-o', 'plain.ppk'])
  const cheap = ['--memory', '8', '--passes', '1', '--new-passphrase-file', 'right']
  await succeed(home, ['convert', 'plain', '--to', 'ppk', '-o', 'sealed.ppk', ...cheap])
  await mkdir(at('folder'))
  await symlink('nowhere', at('dangling'))
  await write('orphan.pub', await readFile(at('plain.pub')))

  const sealed = await readFile(at('sealed'))
  const plain = await readFile(at('plain'), 'utf8')
  await write('truncated', sealed.subarray(0, 200))
  await write('truncated.ppk', (await readFile(at('plain.ppk'))).subarray(0, 200))
  await write('truncated.pub', (await readFile(at('plain.pub'))).subarray(0, 40))
  // The armour is whole, a line in the middle is gone.
  await write('holed', plain.split('\n').toSpliced(2, 1).join('\n'))
  await write('not-base64', plain.replace(/(?<=KEY-----\n.{20})./, '*'))
  await write(
    'altered.ppk',
    (await readFile(at('plain.ppk'), 'utf8')).replace('Comment: a comment', 'Comment: another'),
  )
  await write('random', Buffer.from(Array.from({ length: 5000 }, (_, i) => (i * i * 31 + 7) % 251)))
  // A name that stands in the error's own words.
  await write('key', 'this is no key at all\n')
  await write('utf16', Buffer.from(`\ufeff${await readFile(at('plain.pub'), 'utf8')}`, 'utf16le'))
  await write('utf16-private', Buffer.from(`\ufeff${plain}`, 'utf16le'))
  await write('huge', '')
  await truncate(at('huge'), 64 * 1024 * 1024)
})
afterAll(() => home.dispose())

const refuse = (args: readonly string[], refusal: Refusal) =>
  expectRefused(home, args, refusal, { secrets: [RIGHT, WRONG, 'correct horse', 'unmistakable'] })

const usage = { status: 2, code: 'usage' } as const
const missing = { status: 3, code: 'not-found' } as const
const exists = { status: 4, code: 'exists', says: /is there already[\s\S]*--force/ } as const
const wrong = { status: 5, code: 'secret-wrong' } as const
const needed = { status: 5, code: 'secret-needed' } as const
const damaged = { status: 6, code: 'damaged' } as const
const unsupported = { status: 6, code: 'unsupported' } as const

/** The commands that read a key file, each as it is called with one. */
const readers: readonly (readonly string[])[] = [
  ['inspect', 'FILE'],
  ['fingerprint', 'FILE'],
  ['public', 'FILE'],
  ['convert', 'FILE', '--to', 'ppk', '--passphrase-file', 'right'],
]
const reading = (file: string, but?: string) =>
  readers.filter(([command]) => command !== but).map(args => args.map(word => (word === 'FILE' ? file : word)))

describe('files that are not what they should be', () => {
  const bad: readonly (readonly [file: string, refusal: Refusal, but?: string])[] = [
    ['truncated', { ...damaged, says: /^.*truncated: .*at byte 200/ }],
    ['truncated.ppk', { ...damaged, says: /^.*truncated\.ppk: .*at byte \d+/ }],
    ['truncated.pub', { ...damaged, says: /^.*truncated\.pub: .*at byte \d+/ }, 'convert'],
    ['holed', { ...damaged, says: /^.*holed: .*at byte \d+/ }],
    ['not-base64', { ...damaged, says: /^.*not-base64: .*at byte 56/ }],
    ['nothing', { ...damaged, says: /^.*nothing: .*empty/ }],
    ['random', { ...damaged, says: /^.*random: no key/ }],
    ['key', { ...damaged, says: /^(keytool: )?key: no key/ }],
    ['utf16', { ...damaged, says: /^.*utf16: / }],
    ['utf16-private', { ...damaged, says: /^.*utf16-private: / }],
    ['huge', { ...damaged, says: /^.*huge is larger than/ }],
    ['folder', { ...damaged, says: /^.*folder is a folder/ }, 'inspect'],
    ['absent', { ...missing, says: /^.*absent is not there/ }],
    ['absent/below', { ...missing, says: /^.*absent\/below is not there/ }],
  ]
  const rows = bad.flatMap(([file, refusal, but]) => reading(file, but).map(args => [args.join(' '), args, refusal]))
  test.each(rows as [string, string[], Refusal][])('%s', async (_, args, refusal) => {
    // `inspect` and `fingerprint --json` print the facts they have: none is an empty list, and no error.
    const listing = args[0] === 'inspect' || args[0] === 'fingerprint'
    await (listing ? expectListing(args, refusal) : refuse(args, refusal))
  })

  test('a public key where a private one is needed', async () => {
    for (const source of [[], ['--passphrase-file', 'right']]) {
      await refuse(['convert', 'plain.pub', '--to', 'ppk', ...source], {
        ...unsupported,
        says: /plain\.pub.*public key/,
      })
    }
  })

  test('a PPK file whose MAC does not fit', async () => {
    await refuse(['convert', 'altered.ppk', '--to', 'openssh'], { ...damaged, says: /altered\.ppk.*MAC/ })
  })
})

describe('wrong or missing secrets', () => {
  test.each([
    [['convert', 'sealed', '--to', 'ppk', '--passphrase-file', 'wrong'], { ...wrong, says: /wrong.*for sealed/ }],
    [['convert', 'sealed.ppk', '--to', 'openssh', '--passphrase-file', 'wrong'], { ...wrong, says: /sealed\.ppk/ }],
    [
      ['convert', 'sealed', '--to', 'ppk', '--passphrase-file', 'wrong', '-o', 'out'],
      { ...wrong, says: /nothing was/ },
    ],
    [['convert', 'sealed', '--to', 'ppk', '--passphrase-file', 'nothing'], wrong],
    [['convert', 'sealed', '--to', 'ppk', '--passphrase-file', 'absent'], { ...missing, says: /absent is not there/ }],
    [['convert', 'sealed', '--to', 'ppk', '--passphrase-file', 'folder'], { ...damaged, says: /folder is a folder/ }],
    [['convert', 'sealed', '--to', 'ppk', '--passphrase-file', 'nul'], { ...damaged, says: /nul .*NUL/ }],
    [['convert', 'sealed', '--to', 'ppk', '--passphrase-file', 'huge'], { ...damaged, says: /huge/ }],
    [['gen', '-f', 'new', '--passphrase-file', 'blank'], { ...needed, says: /empty passphrase[\s\S]*--no-passphrase/ }],
    [['gen', '-f', 'new', '--passphrase-file', 'nothing'], { ...needed, says: /empty passphrase/ }],
    [['gen', '-f', 'new', '--passphrase-file', 'nul'], { ...damaged, says: /nul .*NUL/ }],
    [['gen', '-f', 'new', '--passphrase-file', 'absent'], { ...missing, says: /absent is not there/ }],
    [['gen', '-f', 'new', '--passphrase-file', '-'], { ...needed, says: /empty passphrase/ }],
    [['convert', 'plain', '--to', 'ppk', '-o', 'out', '--new-passphrase-file', 'blank'], needed],
    [['convert', 'plain', '--to', 'ppk', '-o', 'out', '--new-passphrase-file', 'nul'], damaged],
  ] as [string[], Refusal][])('%j', (args, refusal) => refuse(args, refusal))

  // Standard input stays open, so that a program that waits for an answer there is found out.
  test.each([[['gen']], [['gen', '-t', 'rsa', '-f', 'new']], [['convert', 'sealed', '--to', 'ppk']]])(
    'no terminal and no source: 5 at once, %j',
    async args => {
      await refuse(args, { ...needed, says: /no terminal to ask on[\s\S]*--passphrase-file/ })
      const asked = await startKeytool(args, { env: home.env, cwd: home.path })
      const ended = await Promise.race([asked.exit, sleep(20_000, 'it waits', { ref: false })])
      await asked.stop()
      expect(ended).toEqual({ status: 5, signal: null })
    },
  )
})

describe('usage', () => {
  const generating = ['gen', '-f', 'new', '--no-passphrase'] as const
  const converting = ['convert', 'sealed', '--passphrase-file', 'right', '-o', 'out'] as const
  test.each([
    [['frobnicate'], /"frobnicate"[\s\S]*keytool --help/],
    [['--frobnicate'], /frobnicate/],
    [['constructor'], /"constructor"/],
    [['Gen'], /"Gen"/],
    [[''], /""/],
    [['session', 'frobnicate'], /"frobnicate"[\s\S]*keytool session --help/],
    [['session'], /session/],
    ...['gen', 'inspect', 'fingerprint', 'public', 'convert', 'session list'].map(command => [
      [...command.split(' '), '--frobnicate'],
      new RegExp(`unknown option '--frobnicate'[\\s\\S]*keytool ${command} --help`),
    ]),
    [['inspect'], /missing.*file/],
    [['fingerprint'], /missing.*file/],
    [['public'], /missing.*file/],
    [['convert', '--to', 'ppk'], /missing.*file/],
    [['convert', 'plain'], /--to/],
    [['public', 'plain', 'plain'], /more words/],
    [[...generating, 'extra'], /more words/],
    [['gen', '-f', '', '--no-passphrase'], /-f|file/],
    [[...generating, '-t', 'dsa'], /DSA[\s\S]*-t ed25519/],
    [[...generating, '-t', 'DSA'], /DSA/],
    [[...generating, '-t', 'frob'], /"frob"[\s\S]*ed25519/],
    [[...generating, '-t', 'constructor'], /"constructor"/],
    [[...generating, '-t', 'rsa', '-b', '1024'], /2048 to 16384/],
    [[...generating, '-t', 'rsa', '-b', '2047'], /2048 to 16384/],
    [[...generating, '-t', 'rsa', '-b', '16385'], /2048 to 16384/],
    [[...generating, '-t', 'rsa', '-b', '1e4'], /"1e4"/],
    [[...generating, '-t', 'rsa', '-b', '-2048'], /2048/],
    [[...generating, '-t', 'ecdsa', '-b', '123'], /ecdsa/],
    [[...generating, '-t', 'ed25519', '-b', '2048'], /one size/],
    [[...generating, '--format', 'frob'], /"frob"[\s\S]*openssh/],
    [[...generating, '-C', 'two\nlines'], /one line/],
    [[...generating, '-C', 'escape \u001b[31m'], /control/],
    [[...generating, '--passphrase-file', 'right'], /contradict/],
    [['gen', '-f', 'new', '--passphrase', 'unmistakable'], /--passphrase/],
    [['gen', '-f', 'new', '--passphrase=unmistakable'], /--passphrase/],
    [['convert', 'sealed', '--to', 'ppk', '--passphrase', 'unmistakable'], /--passphrase/],
    [['public', 'plain', '--format', 'frob'], /"frob"[\s\S]*openssh/],
    [['fingerprint', 'plain', '-E', 'sha1'], /"sha1"/],
    [[...converting, '--to', 'frob'], /"frob"[\s\S]*openssh/],
    [[...converting, '--to', 'openssh', '--rounds', '0'], /--rounds/],
    [[...converting, '--to', 'openssh', '--rounds', 'many'], /--rounds/],
    [[...converting, '--to', 'openssh', '--cipher', 'frob'], /frob/],
    [[...converting, '--to', 'ppk', '--argon2', 'x'], /--argon2/],
    [[...converting, '--to', 'ppk', '--memory', '1'], /--memory/],
    [[...converting, '--to', 'ppk', '--memory', '99999999'], /--memory/],
    [[...converting, '--to', 'ppk', '--passes', '0'], /--passes/],
    [[...converting, '--to', 'ppk', '--parallel', '16777216'], /--parallel/],
    [[...converting, '--to', 'ppk', '--parallel', '2', '--memory', '8'], /Argon2/],
    [[...converting, '--to', 'ppk', '--memory', '1048576', '--passes', '1000'], /cost/],
    [['convert', 'sealed', '--to', 'ppk', '--passphrase-file', '-', '--new-passphrase-file', '-'], /standard input/],
  ] as [string[], RegExp][])('%j', (args, says) => refuse(args, { ...usage, says }))
})

test('usage: an option without its value', async () => {
  const result = await runIn(home, ['gen', '--no-passphrase', '-f'])
  expect(result).toMatchObject({ status: 2, stdout: '', stderr: expect.stringMatching(/-f, --file.*missing/) })
})

describe('files that are there already', () => {
  test.each([
    [['gen', '-f', 'plain', '--no-passphrase'], exists],
    [['gen', '-f', 'orphan', '--no-passphrase'], { ...exists, says: /orphan\.pub is there already/ }],
    [['gen', '-f', 'folder', '--no-passphrase'], { status: 4, code: 'exists' }],
    [['gen', '-f', 'dangling', '--no-passphrase'], { status: 4, code: 'exists' }],
    [['public', 'plain', '-o', 'plain.pub'], exists],
    [['public', 'plain', '-o', 'plain'], exists],
    [['convert', 'plain', '--to', 'ppk', '-o', 'plain.ppk'], exists],
    [['convert', 'plain', '--to', 'ppk', '-o', 'plain'], exists],
    // What was typed for nothing would have to be typed again.
    [['convert', 'sealed', '--to', 'ppk', '-o', 'plain.ppk'], exists],
  ] as [string[], Refusal][])('%j', (args, refusal) => refuse(args, refusal))
})

describe('places that can not be written', () => {
  const failed = { status: 1, code: 'failed' } as const
  test.each([
    [['gen', '-f', 'plain/below', '--no-passphrase'], /plain/],
    [['gen', '-f', 'plain/far/below', '--no-passphrase'], /plain/],
    [['gen', '-f', 'dangling/below', '--no-passphrase'], /dangling/],
    [['gen', '-f', 'x'.repeat(300), '--no-passphrase'], /too long/],
    // Node's own recursive mkdir never returns from here.
    [['gen', '-f', '/proc/none/below', '--no-passphrase'], /\/proc\/none/],
    [['public', 'plain', '-o', 'plain/below'], /plain\/below/],
    [['public', 'plain', '-o', 'folder', '--force'], /folder/],
    [['convert', 'plain', '--to', 'ppk', '-o', 'plain/below'], /plain\/below/],
  ] as [string[], RegExp][])('%j', (args, says) => expectRefused(home, args, { ...failed, says }, { secrets: [RIGHT] }))
})

/** A command that lists: in words refused as any other, in JSON an empty list on stdout, the error on stderr. */
async function expectListing(args: string[], { status, code, says = /./ }: Refusal): Promise<void> {
  const before = await takeSnapshot(home.path)
  const words = await runIn(home, args)
  expect(words).toMatchObject({ status, stdout: '', stderr: expect.stringMatching(/^keytool: .*(\n {2}.*){0,2}\n$/) })
  expect(words.stderr).toMatch(says)
  const json = await runIn(home, [...args, '--json'])
  expect(json).toMatchObject({ status, stdout: '[]\n' })
  const { error } = JSON.parse(json.stderr)
  expect(error).toMatchObject({ code, message: expect.stringMatching(says) })
  expect(await takeSnapshot(home.path)).toEqual(before)
}
