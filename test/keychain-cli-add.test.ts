import { readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { jest } from '@jest/globals'
import { readProcess } from './agent-fixture.js'
import {
  changePassphrase,
  type Desk,
  fingerprintOf,
  type Listed,
  makeAnswerer,
  makeDeskWithKeyring,
} from './keychain-cli.js'
import type { Keyring } from './world/keyring.js'
import { peerPath } from './world/peers.js'
import { keytoolPath, run, runOrThrow } from './world/run.js'
import { openTerminal } from './world/terminal.js'

// `keytool add --remember` beside a real keyring.

jest.setTimeout(120_000)

let desk: Desk & { readonly keyring: Keyring }

beforeEach(async () => {
  desk = await makeDeskWithKeyring()
})
afterEach(() => desk.dispose())

const SECRET = 'schlüssel 鍵 🔑 "staple"'

/** Adds a key with `--remember`, which has to go well. */
async function remember(path: string, secret: string, ...more: string[]): Promise<string> {
  const file = await desk.write(`${secret}\n`)
  const result = await desk.run(['add', '--remember', path, '--passphrase-file', file, ...more])
  expect(result).toMatchObject({ status: 0, stderr: '' })
  return result.stdout
}

const held = () => desk.ask<Listed[]>(['list'])

test('the passphrase lies in the keychain, the rule in agent.json; the next agent holds the key, sealed', async () => {
  const { path, fingerprint } = await desk.makeKey('id', SECRET, 'hana')
  expect(await remember(path, SECRET)).toBe(`ok 256 ${fingerprint} hana (ED25519), remembered, and so at every start\n`)
  expect(await desk.keyring.read(fingerprint)).toBe(SECRET)
  expect(await desk.rules()).toEqual([{ file: '~/.ssh/id', fingerprint, atLogin: true, remember: true }])
  expect(await desk.ask(['keychain', 'list'])).toEqual([{ fingerprint, comment: 'hana', file: path }])
  expect(await held()).toMatchObject([{ fingerprint, state: 'open', remembered: true }])

  await desk.restartAgent()
  expect(await held()).toMatchObject([{ fingerprint, state: 'sealed', remembered: true }])
  expect((await desk.run(['list'])).stdout).toBe(`256 ${fingerprint} hana (ED25519), sealed, remembered\n`)
  // And nobody is asked for it again.
  for (const args of [
    ['add', path],
    ['add', '--remember', path],
  ]) {
    expect(await desk.run(args)).toMatchObject({ status: 0, stderr: '' })
    expect(await held()).toMatchObject([{ state: 'open' }])
    expect(await desk.run(['reencrypt', '--all'])).toMatchObject({ status: 0 })
  }
  expect(await desk.ask(['add', path])).toMatchObject([{ path, sealed: false, remembered: true }])
})

test('--sealed checks the passphrase and holds the key sealed; other conditions stand in the rule', async () => {
  const { path, fingerprint } = await desk.makeKey('id', SECRET)
  const wrong = await desk.write('wrong\n')
  expect(await desk.run(['add', '--remember', '--sealed', path, '--passphrase-file', wrong])).toMatchObject({
    status: 5,
  })
  expect(await held()).toEqual([])
  expect([await desk.rules(), await desk.keyring.read(fingerprint)]).toEqual([undefined, undefined])

  expect(await remember(path, SECRET, '--sealed', '-c', '-t', '8h', '--idle', '30m')).toContain('sealed, remembered')
  expect(await held()).toMatchObject([
    { state: 'sealed', remembered: true, confirm: true, idle: 1800, lifetime: 28800 },
  ])
  const rule = { file: '~/.ssh/id', fingerprint, atLogin: true, remember: true }
  expect(await desk.rules()).toEqual([{ ...rule, lifetime: 28800, idle: 1800, confirm: true }])
  // With --at-login as well, the keychain's is enough.
  expect(await desk.run(['add', '--remember', '--at-login', path])).toMatchObject({ status: 0, stderr: '' })
  expect(await held()).toMatchObject([{ state: 'sealed' }])
})

test('a stale passphrase is tried once, asked for anew, and replaced', async () => {
  const { path, fingerprint } = await desk.makeKey('id', 'old')
  await remember(path, 'old')
  await changePassphrase(path, 'old', 'new one')

  const nobody = await desk.run(['add', path])
  expect(nobody.status).toBe(5)
  expect(nobody.stderr).toMatch(/^the keychain's passphrase for ~\/\.ssh\/id is stale.*\nkeytool: .*is needed\n/)
  expect(await desk.keyring.read(fingerprint)).toBe('old')

  const answerer = await makeAnswerer(desk, 'new one')
  const asked = await desk.run(['add', path], { env: { ...desk.env, ...answerer.env } })
  expect(asked).toMatchObject({ status: 0, stderr: expect.stringContaining('is stale') })
  expect(await answerer.questions()).toEqual(['passphrase for ~/.ssh/id: '])
  expect(await desk.keyring.read(fingerprint)).toBe('new one')
  expect(await desk.run(['add', path])).toMatchObject({ status: 0, stderr: '' })

  // What is given in a file is the user's word: the keychain follows.
  await changePassphrase(path, 'new one', 'third')
  expect(await desk.run(['add', path, '--passphrase-file', await desk.write('third\n')])).toMatchObject({ status: 0 })
  expect(await desk.keyring.read(fingerprint)).toBe('third')
})

test('a passphrase that another program has removed: asked for, and said', async () => {
  const { path, fingerprint } = await desk.makeKey('id', SECRET)
  await remember(path, SECRET)
  await runOrThrow(peerPath('secret-tool'), ['clear', 'service', 'keytool', 'account', fingerprint], { env: desk.env })
  const answerer = await makeAnswerer(desk, SECRET)
  const { status, stderr } = await desk.run(['add', path], { env: { ...desk.env, ...answerer.env } })
  expect({ status, stderr }).toEqual({ status: 0, stderr: expect.stringContaining('keytool add --remember ~/.ssh/id') })
  expect(await answerer.questions()).toHaveLength(1)
  expect(await desk.keyring.read(fingerprint)).toBeUndefined()
})

test('a locked keychain: 4 before anybody is asked, and nothing done; unlocked, it works', async () => {
  const { path } = await desk.makeKey('id', SECRET)
  const answerer = await makeAnswerer(desk, SECRET)
  const env = { ...desk.env, ...answerer.env }
  await desk.keyring.lock()
  const refused = await desk.run(['add', '--remember', path], { env })
  expect(refused).toMatchObject({
    status: 4,
    stdout: '',
    stderr: expect.stringMatching(/^keytool: the keychain is locked\n {2}nothing was done\n {2}.*\n$/),
  })
  const { stderr } = await desk.run(['add', '--remember', path, '--json'], { env })
  expect(JSON.parse(stderr)).toMatchObject({ error: { code: 'refused' } })
  expect(await answerer.questions()).toEqual([])
  expect([await held(), await desk.rules()]).toEqual([[], undefined])

  await desk.keyring.unlock()
  expect(await desk.run(['add', '--remember', path], { env })).toMatchObject({ status: 0 })
  expect(await answerer.questions()).toHaveLength(1)

  // Of a key that is remembered: with nobody to ask it is the lock that is in the way.
  await desk.keyring.lock()
  expect(await desk.run(['add', path])).toMatchObject({
    status: 4,
    stderr: expect.stringContaining('the keychain is locked'),
  })
  expect(await desk.run(['add', path], { env })).toMatchObject({ status: 0 })
  expect(await desk.rules()).toMatchObject([{ remember: true }])
})

test('what there is nothing to remember of, and what can not be held', async () => {
  const open = await desk.makeKey('open', '')
  const added = await desk.run(['add', '--remember', open.path])
  expect(added).toMatchObject({ status: 0, stderr: expect.stringContaining('~/.ssh/open has no passphrase') })
  expect(added.stdout).not.toContain('remembered')
  expect(await held()).toMatchObject([{ fingerprint: open.fingerprint, remembered: false }])

  const { path } = await desk.makeKey('id', SECRET)
  const secret = await desk.write(`${SECRET}\n`)
  const refusals = [
    [2, 'for', ['add', '--remember', '--for', 'github.com', path]],
    [3, 'missing', ['add', '--remember', join(desk.home.ssh, 'missing')]],
    [6, 'not encrypted', ['add', '--remember', '--at-login', open.path]],
  ] as const
  for (const [status, words, args] of refusals) {
    const result = await desk.run([...args])
    expect(result).toMatchObject({ status, stdout: '', stderr: expect.stringContaining(words) })
  }
  // A format that hides its public half.
  const pem = join(desk.home.ssh, 'pem')
  const made = await desk.run(['convert', path, '--to', 'pkcs8', '-o', pem, '--passphrase-file', secret])
  expect(made.status).toBe(0)
  expect(await desk.run(['add', '--remember', pem, '--passphrase-file', secret])).toMatchObject({
    status: 6,
    stderr: expect.stringContaining('hide'),
  })
  // A passphrase that is no text: the key is loaded all the same.
  const latin = join(desk.home.ssh, 'latin')
  const bytes = await desk.write(Buffer.from([0x63, 0x6c, 0xe9]))
  expect(await desk.run(['gen', '-f', latin, '--passphrase-file', bytes])).toMatchObject({ status: 0 })
  const unkept = await desk.run(['add', '--remember', latin, '--passphrase-file', bytes])
  expect(unkept).toMatchObject({ status: 6, stderr: expect.stringMatching(/UTF-8.*the key is loaded/) })
  expect(await held()).toMatchObject([{ fingerprint: open.fingerprint }, { fingerprint: await fingerprintOf(latin) }])
  expect(await desk.rules()).toBeUndefined()
  expect(await desk.ask(['keychain', 'list'])).toEqual([])
})

test('an agent.json that is not understood is said before anything is asked, and stays', async () => {
  const { path, fingerprint } = await desk.makeKey('id', SECRET)
  await remember(path, SECRET)
  const policy = join(desk.home.path, '.config', 'keytool', 'agent.json')
  await writeFile(policy, '{ "version": 1, "keys": [}')
  const other = await desk.makeKey('other', 'x')
  expect(await desk.run(['add', '--remember', other.path])).toMatchObject({
    status: 6,
    stderr: expect.stringContaining('agent.json'),
  })
  expect(await desk.keyring.read(other.fingerprint)).toBeUndefined()
  expect(await desk.keyring.read(fingerprint)).toBe(SECRET)
  // Without --remember nobody writes in it.
  expect(await desk.run(['add', other.path, '--passphrase-file', await desk.write('x\n')])).toMatchObject({ status: 0 })
})

test('hostile names of files', async () => {
  for (const name of ['a b', 'it\'s "quoted"', '--remember', '$(touch x)', 'schlüssel', '~']) {
    const { path, fingerprint } = await desk.makeKey(name, SECRET)
    await remember(path, SECRET)
    expect(await desk.keyring.read(fingerprint)).toBe(SECRET)
    expect(await desk.run(['add', path])).toMatchObject({ status: 0, stderr: '' })
    expect(await desk.rules()).toContainEqual({ file: `~/.ssh/${name}`, fingerprint, atLogin: true, remember: true })
  }
  // It could not stand in agent.json: said before the passphrase is looked at, and nothing is stored.
  const broken = await desk.makeKey('new\nline', SECRET)
  const rules = await desk.rules()
  expect(await desk.run(['add', '--remember', broken.path])).toMatchObject({ status: 2, stdout: '' })
  expect([await desk.rules(), await desk.keyring.read(broken.fingerprint)]).toEqual([rules, undefined])
})

test('several at once: each one is remembered', async () => {
  const keys = await Promise.all(['a', 'b', 'c', 'd'].map(name => desk.makeKey(name, `${name} ${SECRET}`)))
  await Promise.all(keys.map(({ path }, i) => remember(path, `${'abcd'[i]} ${SECRET}`)))
  const prints = keys.map(({ fingerprint }) => fingerprint).sort()
  const sorted = (list: readonly object[]) => list.map(each => (each as { fingerprint: string }).fingerprint).sort()
  expect(sorted((await desk.rules()) ?? [])).toEqual(prints)
  expect(sorted(await desk.ask<object[]>(['keychain', 'list']))).toEqual(prints)
  expect(await desk.run(['keychain', 'check'])).toMatchObject({ status: 0 })
})

test('Ctrl-C at the prompt leaves nothing; three wrong tries neither', async () => {
  const { path, fingerprint } = await desk.makeKey('id', SECRET)
  const command = [process.execPath, keytoolPath, 'add', '--remember', path]
  for (const [typed, status] of [
    [['right\x03'], 130],
    [['wrong\r', 'wrong\r', 'wrong\r'], 5],
  ] as const) {
    const terminal = await openTerminal(command, { env: desk.env, cwd: desk.home.path })
    try {
      for (const [i, each] of typed.entries()) {
        await terminal.waitFor(
          new RegExp(`${['', '2 tries left[\\s\\S]*', 'one try left[\\s\\S]*'][i]}passphrase for ~/.ssh/id`),
        )
        await terminal.type(each)
      }
      expect(await terminal.exitStatus()).toBe(status)
      expect(await terminal.transcript()).not.toMatch(/right|wrong\r/)
    } finally {
      await terminal.close()
    }
  }
  expect([await held(), await desk.rules(), await desk.keyring.read(fingerprint)]).toEqual([[], undefined, undefined])
})

test('the passphrase is in no argument, environment or file of ours', async () => {
  const { path } = await desk.makeKey('id', SECRET)
  const file = await desk.write(`${SECRET}\n`)
  // The keyring stands still until a program of ours that talks to it was seen.
  desk.keyring.signal('SIGSTOP')
  const ended = desk.run(['add', '--remember', path, '--passphrase-file', '-'], { input: `${SECRET}\n` })
  let isOver = false
  void ended.finally(() => {
    isOver = true
  })
  const processes = async () => (await readdir('/proc')).filter(name => /^\d+$/.test(name))
  const seen = new Set(await processes())
  let children = 0
  for (let look = 0; look < 100_000 && !isOver; look++) {
    for (const pid of (await processes()).filter(each => !seen.has(each))) {
      const { command, environ } = await readProcess(Number(pid))
      if (!environ.includes(`HOME=${desk.home.path}`)) continue
      expect(`${command}\0${environ}`).not.toContain(SECRET)
      if (!command.includes('keychain.cjs')) continue
      seen.add(pid)
      if (children++ === 0) desk.keyring.signal('SIGCONT')
    }
  }
  expect(await ended).toMatchObject({ status: 0 })
  expect(children).toBeGreaterThan(0)
  const { stdout } = await run('grep', ['-rlF', '--exclude-dir=keyrings', SECRET, desk.home.path])
  expect(stdout).toBe(`${file}\n`)
  expect(await fingerprintOf(path)).toBe((await held())[0]?.fingerprint)
})
