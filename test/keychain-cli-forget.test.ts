import { rm, writeFile } from 'node:fs/promises'
import { jest } from '@jest/globals'
import { changePassphrase, type Desk, type Made, makeDeskWithKeyring } from './keychain-cli.js'
import type { Keyring } from './world/keyring.js'
import { peerPath } from './world/peers.js'
import { runOrThrow } from './world/run.js'

// `keytool keychain list|check|forget` beside a real keyring.

jest.setTimeout(120_000)

let desk: Desk & { readonly keyring: Keyring }
let one: Made
let two: Made

beforeEach(async () => {
  desk = await makeDeskWithKeyring()
  one = await desk.makeKey('one', 'pass é', 'hana')
  two = await desk.makeKey('two', 'pass é', 'ken')
  const secret = await desk.write('pass é\n')
  const added = await desk.run(['add', '--remember', '--sealed', one.path, two.path, '--passphrase-file', secret])
  expect(added).toMatchObject({ status: 0, stderr: '' })
})
afterEach(() => desk.dispose())

interface Checked {
  readonly keychain: string
  readonly keys: readonly { readonly fingerprint: string; readonly state: string; readonly remembered: boolean }[]
}

/** What `check` finds, by key, and its exit status. */
async function check(): Promise<{ status: number | null; states: Record<string, string>; text: string }> {
  const { status, stdout } = await desk.run(['keychain', 'check', '--json'])
  const { keys }: Checked = JSON.parse(stdout)
  const names = new Map([
    [one.fingerprint, 'one'],
    [two.fingerprint, 'two'],
  ])
  const text = await desk.run(['keychain', 'check'])
  expect(text.status).toBe(status)
  const states = keys.map(each => [names.get(each.fingerprint) ?? '?', each.state])
  return { status, states: Object.fromEntries(states), text: text.stdout }
}

const listed = async () =>
  (await desk.ask<{ fingerprint: string }[]>(['keychain', 'list'])).map(({ fingerprint }) => fingerprint)

test('list: in words and in JSON', async () => {
  const { stdout, stderr } = await desk.run(['keychain', 'list'])
  expect({ stdout, stderr }).toEqual({
    stdout: `${one.fingerprint}  hana  ~/.ssh/one\n${two.fingerprint}  ken   ~/.ssh/two\n`,
    stderr: '',
  })
  expect(await desk.ask(['keychain', 'list'])).toEqual([
    { fingerprint: one.fingerprint, comment: 'hana', file: one.path },
    { fingerprint: two.fingerprint, comment: 'ken', file: two.path },
  ])
})

test('check: each state, with its remedy and its exit status', async () => {
  expect(await check()).toMatchObject({ status: 0, states: { one: 'ok', two: 'ok' } })

  await changePassphrase(two.path, 'pass é', 'other')
  const stale = await check()
  expect(stale).toMatchObject({ status: 5, states: { one: 'ok', two: 'stale' } })
  expect(stale.text).toContain('\n  keytool add --remember ~/.ssh/two\n')

  await changePassphrase(two.path, 'other', '')
  expect(await check()).toMatchObject({ status: 1, states: { two: 'unprotected' } })
  await writeFile(two.path, 'nothing of a key')
  expect(await check()).toMatchObject({ status: 6, states: { two: 'unreadable' } })
  await rm(two.path)
  const gone = await check()
  expect(gone).toMatchObject({ status: 3, states: { one: 'ok', two: 'gone' } })
  expect(gone.text).toContain(`\n  keytool keychain forget ${two.fingerprint}\n`)
  // Another key of that name.
  await rm(`${two.path}.pub`)
  await desk.makeKey('two', 'pass é')
  expect(await check()).toMatchObject({ status: 3, states: { two: 'gone' } })

  await runOrThrow(peerPath('secret-tool'), ['clear', 'service', 'keytool', 'account', one.fingerprint], {
    env: desk.env,
  })
  const missing = await check()
  expect(missing).toMatchObject({ status: 3, states: { one: 'missing' } })
  expect(missing.text).toContain('\n  keytool add --remember ~/.ssh/one\n')
})

test('check: what agent.json alone knows of, and what it does not', async () => {
  const policy = `${desk.home.path}/.config/keytool/agent.json`
  const ghost = await desk.makeKey('ghost', 'x')
  await writeFile(policy, JSON.stringify({ version: 1, keys: [{ file: ghost.path, remember: true }] }))
  const { keys } = JSON.parse((await desk.run(['keychain', 'check', '--json'])).stdout) as Checked
  expect(keys).toMatchObject([
    { fingerprint: one.fingerprint, state: 'ok', remembered: false },
    { fingerprint: two.fingerprint, state: 'ok', remembered: false },
    { fingerprint: ghost.fingerprint, state: 'missing', remembered: true },
  ])
  // To forget it is to take it out of the rule.
  expect(await desk.run(['keychain', 'forget', 'ghost'])).toMatchObject({ status: 0 })
  expect(await desk.rules()).toEqual([{ file: ghost.path }])
})

test.each([
  ['a file', () => one.path],
  ['a file from where one stands', () => '.ssh/one'],
  ['its public half', () => `${one.path}.pub`],
  ['a fingerprint', () => one.fingerprint],
  ['a fingerprint without its hash', () => one.fingerprint.replace('SHA256:', '')],
  ['a comment', () => 'hana'],
])('forget: %s', async (_, word) => {
  const forgotten = await desk.run(['keychain', 'forget', word()])
  expect(forgotten).toMatchObject({
    status: 0,
    stderr: '',
    stdout: `ok forgot the passphrase of ${one.fingerprint} hana\n`,
  })
  expect(await listed()).toEqual([two.fingerprint])
  expect(await desk.keyring.read(one.fingerprint)).toBeUndefined()
  // The key is still held at each start.
  expect(await desk.rules()).toEqual([
    { file: '~/.ssh/one', fingerprint: one.fingerprint, atLogin: true },
    { file: '~/.ssh/two', fingerprint: two.fingerprint, atLogin: true, remember: true },
  ])
  expect(await desk.ask(['list'])).toMatchObject([{ remembered: false }, { remembered: true }])
  expect(await desk.run(['keychain', 'forget', word()])).toMatchObject({ status: 3, stdout: '' })
})

test('forget: of a file that is gone, of several, of all', async () => {
  await rm(one.path)
  await rm(`${one.path}.pub`)
  const result = await desk.run(['keychain', 'forget', 'nobody', one.path, '--json'])
  expect(result).toMatchObject({ status: 3, stdout: `${JSON.stringify([{ fingerprint: one.fingerprint }])}\n` })
  expect(JSON.parse(result.stderr)).toMatchObject({ error: { code: 'not-found' } })
  expect(await desk.run(['keychain', 'forget', '--all'])).toMatchObject({ status: 0, stderr: '' })
  expect(await listed()).toEqual([])
  const none = await desk.run(['keychain', 'forget', '--all'])
  expect(none).toMatchObject({ status: 0, stdout: '', stderr: expect.stringContaining('no passphrase') })
  expect(await desk.rules()).toMatchObject([{ atLogin: true }, { atLogin: true }])
})

test('forget: a comment that two have, a fingerprint that nobody has, no word at all', async () => {
  const third = await desk.makeKey('three', 'pass é', 'hana')
  const secret = await desk.write('pass é\n')
  expect(await desk.run(['add', '--remember', third.path, '--passphrase-file', secret])).toMatchObject({ status: 0 })
  for (const [status, ...words] of [[2, 'hana'], [3, 'SHA256:x'], [3, ''], [2], [2, '--all', 'hana']] as const) {
    const result = await desk.run(['keychain', 'forget', ...words])
    expect({ words, ...result }).toMatchObject({ words, status, stdout: '' })
  }
  expect(await listed()).toHaveLength(3)
})

test('locked: 4, and nothing changes; check says how the keychain stands', async () => {
  await desk.keyring.lock()
  const before = await desk.rules()
  for (const args of [['list'], ['check'], ['forget', 'hana'], ['forget', '--all']]) {
    const result = await desk.run(['keychain', ...args])
    expect(result).toMatchObject({ status: 4, stdout: '', stderr: expect.stringContaining('the keychain is locked') })
  }
  const { status, stdout } = await desk.run(['keychain', 'check', '--json'])
  expect([status, JSON.parse(stdout)]).toEqual([4, { keychain: 'locked', keys: [] }])
  await desk.keyring.unlock()
  expect([await listed(), await desk.rules()]).toEqual([[one.fingerprint, two.fingerprint], before])
})

test('keychain alone, its help, and what it does not have', async () => {
  expect(await desk.run(['keychain'])).toMatchObject({
    status: 2,
    stdout: '',
    stderr: expect.stringContaining('list, check, forget'),
  })
  expect(await desk.run(['keychain', 'show'])).toMatchObject({ status: 2, stdout: '' })
  for (const args of [['--help'], ['list', '--help'], ['check', '--help'], ['forget', '--help']]) {
    expect(await desk.run(['keychain', ...args])).toMatchObject({
      status: 0,
      stderr: '',
      stdout: expect.stringContaining('Example'),
    })
  }
})
