import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { jest } from '@jest/globals'
import { agentsOwn, leaveHome, type OurAgent, startOurAgent, takeSnapshot } from './agent-fixture.js'
import { type Home, temporaryHome } from './world/home.js'
import { peerPath } from './world/peers.js'
import { residentKeytool } from './world/resident.js'
import { type RunOptions, type RunResult, runOrThrow } from './world/run.js'

// The exit statuses and the words of the commands that talk to an agent.

jest.setTimeout(120_000)

let home: Home
let agent: OurAgent
let key: string
let passphraseFile: string

beforeAll(async () => {
  home = await temporaryHome()
  agent = await startOurAgent(home)
  key = join(home.ssh, 'id')
  passphraseFile = join(home.path, 'passphrase')
  await writeFile(passphraseFile, 'right\n', { mode: 0o600 })
  await runOrThrow(peerPath('ssh-keygen'), ['-q', '-t', 'ed25519', '-N', 'right', '-C', 'hana', '-f', key])
})

afterAll(async () => {
  await agent.stop()
  await leaveHome(home)
})

interface Expected {
  readonly status: number
  readonly code: string
  readonly stderr: RegExp
}

/**
 * Runs a command that must fail: at most three lines on stderr, nothing on stdout, nothing changed on disk, the same as
 * JSON with `--json`. The agent notes a refusal, too.
 */
async function expectFailure(args: readonly string[], expected: Expected, options: RunOptions = {}): Promise<void> {
  const env = options.env ?? agent.env
  const before = await takeSnapshot(home.path, agentsOwn(home))
  const forPeople = await residentKeytool(args, { ...options, env })
  expect({ args, ...forPeople }).toMatchObject({
    args,
    status: expected.status,
    stdout: '',
    stderr: expect.stringMatching(expected.stderr),
  })
  expect(forPeople.stderr).toMatch(/^keytool: /)
  expect(forPeople.stderr.trimEnd().split('\n').length).toBeLessThanOrEqual(3)

  const forPrograms = await residentKeytool([...args, '--json'], { ...options, env })
  expect({ status: forPrograms.status, stdout: forPrograms.stdout.replace(/^\[\]\n$/, '') }).toEqual({
    status: expected.status,
    stdout: '',
  })
  const { error, ...others } = JSON.parse(forPrograms.stderr)
  expect(others).toEqual({})
  expect(error).toMatchObject({ code: expected.code, message: expect.stringMatching(/./) })
  for (const name of ['reason', 'hint']) if (name in error) expect(error[name]).toEqual(expect.any(String))
  expect(await takeSnapshot(home.path, agentsOwn(home))).toEqual(before)
}

function ours(args: readonly string[], input?: string): Promise<RunResult> {
  return residentKeytool(args, { env: agent.env, ...(input !== undefined && { input }) })
}

describe('no agent: 7, before anything is asked', () => {
  let empty: Home

  beforeAll(async () => {
    empty = await temporaryHome()
  })

  afterAll(() => empty.dispose())

  test.each(['list', 'remove --all', 'remove KEY', 'lock', 'unlock', 'add KEY'])('%s', async line => {
    const args = line.split(' ').map(word => (word === 'KEY' ? key : word))
    const expected = { status: 7, code: 'unreachable', stderr: /no agent answers[\s\S]*agent/ }
    await expectFailure(args, expected, { env: empty.env })
    await expectFailure(args, expected, { env: { ...empty.env, SSH_AUTH_SOCK: join(empty.path, 'gone') } })
  })
})

test('what is at the socket is no agent: 7, and no hang', async () => {
  for (const SSH_AUTH_SOCK of [home.path, key]) {
    const { status } = await residentKeytool(['list'], {
      env: { ...home.env, XDG_RUNTIME_DIR: home.path, SSH_AUTH_SOCK },
    })
    expect(status).toBe(7)
  }
})

test('no terminal and no source for the passphrase: 5, and nobody is waited for', async () => {
  await expectFailure(['add', key], {
    status: 5,
    code: 'secret-needed',
    stderr: /passphrase[\s\S]*no terminal[\s\S]*--passphrase-file/,
  })
  await expectFailure(['lock'], { status: 5, code: 'secret-needed', stderr: /--passphrase-file/ })
  await expectFailure(['unlock'], { status: 5, code: 'secret-needed', stderr: /--passphrase-file/ })
})

test('a wrong passphrase: 5', async () => {
  await expectFailure(
    ['add', key, '--passphrase-file', '-'],
    { status: 5, code: 'secret-wrong', stderr: /wrong/ },
    { input: 'wrong\n' },
  )
})

test('a source that is missing, or empty', async () => {
  await expectFailure(['add', key, '--passphrase-file', join(home.path, 'none')], {
    status: 3,
    code: 'not-found',
    stderr: /none/,
  })
  await expectFailure(
    ['lock', '--passphrase-file', '-'],
    { status: 5, code: 'secret-needed', stderr: /empty/ },
    { input: '\n' },
  )
})

describe('files', () => {
  test('one that is missing: 3', () =>
    expectFailure(['add', join(home.ssh, 'missing')], { status: 3, code: 'not-found', stderr: /missing/ }))

  test('a folder: 6', async () => {
    await mkdir(join(home.path, 'folder'), { recursive: true })
    await expectFailure(['add', join(home.path, 'folder')], { status: 6, code: 'damaged', stderr: /folder/ })
  })

  test('an empty one: 6', async () => {
    await writeFile(join(home.path, 'empty'), '')
    await expectFailure(['add', join(home.path, 'empty')], { status: 6, code: 'damaged', stderr: /empty/ })
  })

  test('a public one, or none that holds a key: 6', async () => {
    await writeFile(join(home.path, 'letter'), 'Dear Ken,\n')
    await expectFailure(['add', join(home.path, 'letter')], { status: 6, code: 'damaged', stderr: /letter/ })
    await expectFailure(['add', `${key}.pub`], { status: 6, code: 'unsupported', stderr: /id\.pub/ })
  })

  test.each(['openssh', 'ppk'])('a truncated %s key: 6, with the offset', async format => {
    const whole = join(home.path, `whole.${format}`)
    const made = await ours([
      'gen',
      '-t',
      'rsa',
      '-b',
      '2048',
      '-f',
      whole,
      '--format',
      format,
      '--no-passphrase',
      '--force',
    ])
    expect(made.status).toBe(0)
    const text = await readFile(whole, 'utf8')
    const lines = text.split('\n')
    const cut = join(home.path, 'cut')
    for (const truncated of [text.slice(0, text.length / 2), text.slice(0, -2), lines.slice(0, 5).join('\n')]) {
      await writeFile(cut, truncated)
      await expectFailure(['add', cut], { status: 6, code: 'damaged', stderr: /cut[\s\S]*at byte \d+/ })
    }
    // Not cut at its end, but with lines missing from its middle: damaged too, wherever it is noticed.
    await writeFile(cut, [...lines.slice(0, 6), ...lines.slice(12)].join('\n'))
    await expectFailure(['add', cut], { status: 6, code: 'damaged', stderr: /cut/ })
  })

  test('one of several fails: the others are loaded, and the status is its', async () => {
    const { status, stderr } = await ours(['add', join(home.ssh, 'missing'), key, '--passphrase-file', passphraseFile])
    expect({ status, stderr }).toEqual({ status: 3, stderr: expect.stringContaining('missing') })
    expect((await ours(['list'])).stdout).toContain('hana')
    expect((await ours(['remove', '--all'])).status).toBe(0)
  })
})

test('add, list, remove: what they say, to people and to programs', async () => {
  const [fingerprint = ''] = (await runOrThrow(peerPath('ssh-keygen'), ['-lf', key])).stdout.split(' ').slice(1)
  const add = ['add', key, '--passphrase-file', passphraseFile]
  expect(await ours(add)).toMatchObject({ status: 0, stderr: '', stdout: expect.stringContaining(fingerprint) })
  expect(await ours([...add, '--quiet'])).toMatchObject({ status: 0, stdout: '', stderr: '' })
  const listed = await ours(['list'])
  expect(listed).toMatchObject({ status: 0, stdout: `256 ${fingerprint} hana (ED25519)\n`, stderr: '' })
  expect(JSON.parse((await ours(['list', '--json'])).stdout)).toEqual([
    {
      fingerprint,
      type: 'ssh-ed25519',
      bits: 256,
      comment: 'hana',
      state: 'open',
      lifetime: null,
      left: null,
      idle: null,
      confirm: false,
      destinations: [],
      // Its encrypted file came with it, to be sealed again.
      origin: 'file',
      file: null,
      remembered: false,
    },
  ])
  const [md5 = ''] = (await runOrThrow(peerPath('ssh-keygen'), ['-E', 'md5', '-lf', key])).stdout.split(' ').slice(1)
  for (const word of [fingerprint, md5, key, `${key}.pub`]) {
    expect((await ours(['remove', word])).status).toBe(0)
    expect(JSON.parse((await ours(['list', '--json'])).stdout)).toEqual([])
    await expectFailure(['remove', word], { status: 3, code: 'not-found', stderr: /does not hold/ })
    expect((await ours(add)).status).toBe(0)
  }
  expect((await ours(['remove', '--all'])).status).toBe(0)
  expect(JSON.parse((await ours(['list', '--json'])).stdout)).toEqual([])
})

test.each(['remove', 'reencrypt'])('%s wants a key or --all, never both: 2', async command => {
  await expectFailure([command], { status: 2, code: 'usage', stderr: /--all/ })
  await expectFailure([command, key, '--all'], { status: 2, code: 'usage', stderr: /--all/ })
})

test('a key goes and is sealed with its certificate', async () => {
  const authority = join(home.path, 'authority')
  await runOrThrow(peerPath('ssh-keygen'), ['-q', '-t', 'ed25519', '-N', '', '-f', authority])
  await runOrThrow(peerPath('ssh-keygen'), ['-q', '-s', authority, '-I', 'hana', '-n', 'hana', `${key}.pub`])
  const listed = async () => JSON.parse((await ours(['list', '--json'])).stdout)
  const open = { state: 'open' }
  const add = ['add', key, '--passphrase-file', passphraseFile]
  try {
    expect((await ours(add)).status).toBe(0)
    expect(await listed()).toMatchObject([open, open])
    const [{ fingerprint }] = await listed()
    expect((await ours(['reencrypt', key])).stdout).toMatch(/^ok sealed (SHA256:\S+)\nok sealed \1 \(certificate\)\n$/)
    expect(await listed()).toMatchObject([{ state: 'sealed' }, { state: 'sealed' }])
    const unlock = ['unlock', key, '--passphrase-file', passphraseFile]
    expect((await ours(unlock)).stdout).toMatch(/^ok opened (SHA256:\S+)\nok opened \1 \(certificate\)\n$/)
    expect(await listed()).toMatchObject([open, open])
    // Nobody is asked for what is open, and a wrong passphrase says nothing about it.
    expect((await ours(['unlock', key])).stdout).toMatch(
      /^ok \S+ is open already\nok \S+ \(certificate\) is open already\n$/,
    )
    expect((await ours(['remove', `${key}-cert.pub`])).status).toBe(0)
    expect(await listed()).toMatchObject([{ type: 'ssh-ed25519' }])
    for (const word of [key, fingerprint]) {
      expect((await ours(add)).status).toBe(0)
      expect((await ours(['remove', word])).status).toBe(0)
      expect(await listed()).toEqual([])
    }
  } finally {
    await rm(`${key}-cert.pub`)
  }
})

test('list says for whom a key is', async () => {
  const host = join(home.path, 'host')
  await runOrThrow(peerPath('ssh-keygen'), ['-q', '-t', 'ed25519', '-N', '', '-f', host])
  const [type, blob] = (await readFile(`${host}.pub`, 'utf8')).split(' ')
  await writeFile(join(home.ssh, 'known_hosts'), `web.example,[web.example]:2222 ${type} ${blob}\n`)
  const words = ['web.example', 'web.example>hana@[web.example]:2222']
  const only = 'only for web.example or from web.example on to hana@[web.example]:2222'
  const added = await ours(['add', '--sealed', ...words.flatMap(word => ['--for', word]), key])
  expect(added).toMatchObject({ status: 0, stdout: expect.stringContaining(`, ${only}, sealed\n`) })
  expect((await ours(['list'])).stdout).toMatch(new RegExp(`, sealed, ${only.replace(/[[\]]/g, '\\$&')}\n$`))
  expect(JSON.parse((await ours(['list', '--json'])).stdout)).toMatchObject([{ destinations: words }])
  await expectFailure(['list', '--for', 'web.example:2222'], {
    status: 3,
    code: 'not-found',
    stderr: /\[web\.example\]:2222/,
  })
  expect((await ours(['remove', key])).status).toBe(0)
  expect(await ours(['list'])).toMatchObject({ status: 0, stdout: '', stderr: 'the agent has no keys\n' })
})

test('how each key is held: list says it, and reencrypt and unlock change it', async () => {
  const open = join(home.path, 'open')
  expect((await ours(['gen', '-f', open, '-C', 'open', '--no-passphrase', '--force'])).status).toBe(0)
  expect(await ours(['add', '-t', '1h', '--idle', '10m', '-c', '--sealed', key])).toMatchObject({
    status: 0,
    stdout: expect.stringMatching(/ hana \(ED25519\), .*sealed\n$/),
  })
  expect((await ours(['add', open])).status).toBe(0)
  const listed = async () => JSON.parse((await ours(['list', '--json'])).stdout)
  const terms = { lifetime: 3600, idle: 600, confirm: true, origin: 'file' }
  const plain = { comment: 'open', state: 'open', lifetime: null, left: null, idle: null, confirm: false }
  expect(await listed()).toEqual([
    expect.objectContaining({ ...terms, comment: 'hana', state: 'sealed', left: expect.any(Number) }),
    expect.objectContaining({ ...plain, origin: 'added' }),
  ])
  const { stdout } = await ours(['list'])
  expect(stdout).toMatch(/ hana \(ED25519\), sealed, (1 h|59 min \d+ s) left, [^\n]*\n[^\n]* open \(ED25519\)\n$/)

  expect(await ours(['unlock', key, '--passphrase-file', passphraseFile])).toMatchObject({ status: 0, stderr: '' })
  expect(await listed()).toEqual([expect.objectContaining({ ...terms, state: 'open' }), expect.anything()])
  expect((await ours(['reencrypt', key])).status).toBe(0)
  await expectFailure(['reencrypt', open], { status: 4, code: 'refused', stderr: /encrypted file/ })
  expect(await listed()).toEqual([expect.objectContaining({ state: 'sealed' }), expect.objectContaining(plain)])
  await expectFailure(
    ['unlock', key, '--passphrase-file', '-'],
    { status: 5, code: 'secret-wrong', stderr: /wrong passphrase for/ },
    { input: 'wrong\n' },
  )
  expect((await ours(['unlock', key, '--passphrase-file', passphraseFile])).status).toBe(0)
  expect(await ours(['reencrypt', '--all'])).toMatchObject({ status: 0, stderr: expect.stringContaining('1 key') })
  expect(await listed()).toEqual([expect.objectContaining({ state: 'sealed' }), expect.objectContaining(plain)])
  expect((await ours(['remove', '--all'])).status).toBe(0)
})

test('lock and unlock: 4 for what a locked agent refuses, and for a second time; 5 for a wrong passphrase', async () => {
  const add = ['add', key, '--passphrase-file', passphraseFile]
  const refusing = (stderr: RegExp) => ({ status: 4, code: 'refused', stderr })
  expect((await ours(add)).status).toBe(0)
  const [fingerprint = ''] = (await ours(['list'])).stdout.split(' ').slice(1)

  expect(await ours(['lock', '--passphrase-file', '-'], 'sesame\n')).toMatchObject({ status: 0, stderr: '' })
  expect(await ours(['list'])).toMatchObject({ status: 0, stdout: '' })
  // Before anybody is asked for a passphrase.
  await expectFailure(['add', key], refusing(/the agent is locked\n {2}keytool unlock/))
  await expectFailure(add, refusing(/the agent is locked\n {2}keytool unlock/))
  await expectFailure(['add', '--sealed', key], refusing(/the agent is locked\n {2}keytool unlock/))
  await expectFailure(['remove', '--all'], refusing(/the agent is locked\n {2}keytool unlock/))
  await expectFailure(['reencrypt', '--all'], refusing(/the agent is locked\n {2}keytool unlock/))
  await expectFailure(['remove', fingerprint], refusing(/the agent is locked/))
  await expectFailure(['unlock', key], refusing(/the agent is locked/))
  await expectFailure(['lock', '--passphrase-file', '-'], refusing(/locked already/), { input: 'again\n' })
  const wrong = { status: 5, code: 'secret-wrong', stderr: /wrong passphrase for the agent\n[^\n]*stays locked/ }
  await expectFailure(['unlock', '--passphrase-file', '-'], wrong, { input: 'wrong\n' })
  expect(await ours(['list'])).toMatchObject({ status: 0, stdout: '', stderr: expect.stringContaining('is locked') })

  expect(await ours(['unlock', '--passphrase-file', '-'], 'sesame\n')).toMatchObject({ status: 0, stderr: '' })
  expect((await ours(['list'])).stdout).toContain(fingerprint)
  // Its file was there, so locking has sealed it, and it stays so.
  expect(JSON.parse((await ours(['list', '--json'])).stdout)).toMatchObject([{ state: 'sealed' }])
  await expectFailure(['unlock', '--passphrase-file', '-'], refusing(/not locked/), { input: 'sesame\n' })
  expect((await ours(['remove', '--all'])).status).toBe(0)
})

test('an askpass program is asked, once, and named when it gives nothing', async () => {
  const program = join(home.path, 'askpass')
  const asked = join(home.path, 'asked')
  const write = (answer: string) => writeFile(program, `#!/bin/sh\necho "$1" >>${asked}\n${answer}\n`, { mode: 0o700 })
  await write('echo right')
  const env = { ...agent.env, SSH_ASKPASS: program }
  expect((await residentKeytool(['add', key], { env })).status).toBe(0)
  expect(await readFile(asked, 'utf8')).toBe('passphrase for ~/.ssh/id: \n')
  await write('echo wrong')
  expect((await residentKeytool(['add', key], { env })).status).toBe(5)
  await write('exit 1')
  expect(await residentKeytool(['add', key], { env })).toMatchObject({
    status: 5,
    stderr: expect.stringContaining('askpass'),
  })
  expect((await ours(['remove', '--all'])).status).toBe(0)
})

test('without a file, add takes the keys with default names', async () => {
  await runOrThrow(peerPath('ssh-keygen'), [
    '-q',
    '-t',
    'ecdsa',
    '-N',
    '',
    '-C',
    'default',
    '-f',
    join(home.ssh, 'id_ecdsa'),
  ])
  expect((await ours(['add'])).status).toBe(0)
  expect((await ours(['list'])).stdout).toContain(' default (ECDSA)\n')
  expect((await ours(['remove', '--all'])).status).toBe(0)
})

test('gen --add loads what it made', async () => {
  const made = await ours(['gen', '-f', join(home.path, 'fresh'), '-C', 'fresh', '--no-passphrase', '--add'])
  expect(made).toMatchObject({ status: 0, stderr: '' })
  expect((await ours(['list'])).stdout).toContain(' fresh (ED25519)\n')
  expect((await ours(['remove', join(home.path, 'fresh')])).status).toBe(0)
})
