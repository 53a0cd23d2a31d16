import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { jest } from '@jest/globals'
import { type Desk, type Listed, makeAnswerer, makeDesk } from './keychain-cli.js'

// A server, a container, a login by SSH: no D-Bus, so no keychain. All else goes on.

jest.setTimeout(120_000)

let desk: Desk

beforeEach(async () => {
  desk = await makeDesk()
})
afterEach(() => desk.dispose())

test('add --remember: the keys are loaded, and one warning tells why and what to do', async () => {
  const one = await desk.makeKey('one', 'pass é')
  const two = await desk.makeKey('two', 'pass é')
  const secret = await desk.write('pass é\n')
  const { status, stdout, stderr } = await desk.run([
    'add',
    '--remember',
    one.path,
    two.path,
    '--passphrase-file',
    secret,
  ])
  expect({ status, stderr }).toEqual({
    status: 0,
    stderr: expect.stringMatching(
      /^the passphrase is not remembered: there is no keychain here: .+\n {2}.*keytool unlock FILE\n$/,
    ),
  })
  expect(stdout).not.toContain('remembered')
  expect(await desk.ask<Listed[]>(['list'])).toMatchObject([
    { fingerprint: one.fingerprint, state: 'open', remembered: false },
    { fingerprint: two.fingerprint, state: 'open', remembered: false },
  ])
  expect(await desk.rules()).toBeUndefined()
  // Sealed, nobody needs to be asked for what can't be kept.
  const sealed = await desk.run(['add', '--remember', '--sealed', one.path])
  expect(sealed).toMatchObject({ status: 0, stderr: expect.stringContaining('not remembered') })
})

test('gen --remember: the key is made, with one warning', async () => {
  const secret = await desk.write('pass é\n')
  const path = join(desk.home.ssh, 'id')
  const { status, stdout, stderr } = await desk.run([
    'gen',
    '--remember',
    '-f',
    path,
    '--passphrase-file',
    secret,
    '--json',
  ])
  expect({ status, stderr }).toEqual({
    status: 0,
    stderr: expect.stringMatching(/^the passphrase is not remembered: .*\n.*\n$/),
  })
  expect(JSON.parse(stdout)).toMatchObject({ path, encrypted: true, remembered: false })
  expect(await desk.rules()).toBeUndefined()
})

test('keychain list, check and forget: 7', async () => {
  for (const args of [['list'], ['check'], ['forget', 'x'], ['forget', '--all']]) {
    const { status, stdout, stderr } = await desk.run(['keychain', ...args])
    expect({ args, status, stdout, stderr }).toEqual({
      args,
      status: 7,
      stdout: '',
      stderr: expect.stringMatching(/^keytool: there is no keychain here\n(?: {2}.*\n){1,2}$/),
    })
  }
  const { stdout, stderr } = await desk.run(['keychain', 'check', '--json'])
  expect(JSON.parse(stdout)).toEqual({ keychain: 'none', keys: [] })
  expect(JSON.parse(stderr)).toMatchObject({ error: { code: 'unreachable' } })
})

test('a key that is remembered elsewhere: asked for, and its passphrase changed, with a word about the keychain', async () => {
  const { path, fingerprint } = await desk.makeKey('id', 'pass é')
  const config = join(desk.home.path, '.config', 'keytool')
  await mkdir(config, { recursive: true, mode: 0o700 })
  const rule = { file: path, fingerprint, atLogin: true, remember: true }
  await writeFile(join(config, 'agent.json'), JSON.stringify({ version: 1, keys: [rule] }), { mode: 0o600 })
  const answerer = await makeAnswerer(desk, 'pass é')
  const added = await desk.run(['add', path], { env: { ...desk.env, ...answerer.env } })
  expect(added).toMatchObject({
    status: 0,
    stderr: expect.stringMatching(/^the keychain is left out: there is no .*\n$/),
  })
  expect(await answerer.questions()).toHaveLength(1)
  expect(await desk.run(['add', path])).toMatchObject({ status: 5 })

  const args = ['--passphrase-file', await desk.write('pass é\n'), '--new-passphrase-file', await desk.write('new\n')]
  const changed = await desk.run(['passphrase', path, ...args])
  expect(changed).toMatchObject({ status: 0, stderr: expect.stringContaining('keytool add --remember ~/.ssh/id') })
  expect(await desk.rules()).toEqual([rule])
})
