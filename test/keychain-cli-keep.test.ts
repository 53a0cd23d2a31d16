import { readdir, unlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { jest } from '@jest/globals'
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
import { keytoolPath, run } from './world/run.js'
import { openTerminal } from './world/terminal.js'

// `gen --remember`, and what becomes of a passphrase in the keychain when `passphrase` changes the file's.

jest.setTimeout(120_000)

let desk: Desk & { readonly keyring: Keyring }

beforeEach(async () => {
  desk = await makeDeskWithKeyring()
})
afterEach(() => desk.dispose())

const SECRET = 'clé de sûreté'
const at = (name: string) => join(desk.home.ssh, name)
const entries = () => desk.ask<object[]>(['keychain', 'list'])

describe('gen --remember', () => {
  test.each([
    ['openssh', 'id_ed25519'],
    ['ppk', 'id_ed25519.ppk'],
  ])('%s: passphrase and rule are kept, and the running agent holds the key', async (format, name) => {
    const secret = await desk.write(`${SECRET}\n`)
    const made = await desk.run([
      'gen',
      '--remember',
      '--format',
      format,
      '-t',
      'ed25519',
      '-C',
      'hana',
      '--passphrase-file',
      secret,
    ])
    expect(made).toMatchObject({
      status: 0,
      stderr: '',
      stdout: expect.stringMatching(/\nok the keychain has .*\nNext: /),
    })
    const fingerprint = await fingerprintOf(at(name))
    expect(await desk.keyring.read(fingerprint)).toBe(SECRET)
    expect(await entries()).toEqual([{ fingerprint, comment: 'hana', file: at(name) }])
    expect(await desk.rules()).toEqual([{ file: `~/.ssh/${name}`, fingerprint, atLogin: true, remember: true }])
    expect(await desk.ask<Listed[]>(['list'])).toMatchObject([
      { fingerprint, comment: 'hana', state: 'sealed', remembered: true },
    ])
    expect(await desk.run(['keychain', 'check'])).toMatchObject({ status: 0 })
    expect(await desk.run(['add', at(name)])).toMatchObject({ status: 0, stderr: '' })
  })

  test('with --add the key is open, and can be sealed again; what --json tells', async () => {
    const secret = await desk.write(`${SECRET}\n`)
    const args = ['gen', '--remember', '--add', '-f', at('id'), '--passphrase-file', secret]
    expect(await desk.ask(args)).toMatchObject({ path: at('id'), encrypted: true, remembered: true })
    expect(await desk.ask<Listed[]>(['list'])).toMatchObject([{ state: 'open', remembered: true }])
    expect(await desk.run(['reencrypt', at('id')])).toMatchObject({ status: 0 })
    expect(await desk.ask<Listed[]>(['list'])).toMatchObject([{ state: 'sealed' }])
  })

  test('a file that is made anew: the old passphrase is forgotten with its key', async () => {
    const args = ['gen', '--remember', '-f', at('id'), '--passphrase-file']
    expect(await desk.run([...args, await desk.write('one\n')])).toMatchObject({ status: 0 })
    const old = await fingerprintOf(at('id'))
    expect(await desk.run([...args, await desk.write('two\n'), '--force'])).toMatchObject({ status: 0 })
    const fingerprint = await fingerprintOf(at('id'))
    expect(await desk.keyring.read(old)).toBeUndefined()
    expect(await desk.keyring.read(fingerprint)).toBe('two')
    expect(await desk.rules()).toMatchObject([{ fingerprint }])
    expect(await entries()).toMatchObject([{ fingerprint }])
  })

  test('what does not go together, and what goes wrong: nothing is made, nothing stored', async () => {
    const secret = await desk.write(`${SECRET}\n`)
    await writeFile(at('there'), 'x')
    const f = ['-f', at('id'), '--passphrase-file', secret]
    const refusals: [number, string, string[]][] = [
      [2, '--no-passphrase', ['-f', at('id'), '--no-passphrase']],
      [2, '--count', ['--count', '2', ...f]],
      [2, '--format pem', ['--format', 'pem', ...f]],
      [2, 'agent.json|rule', ['-f', at('new\nline'), '--passphrase-file', secret]],
      [4, 'there already', ['-f', at('there'), '--passphrase-file', secret]],
      [5, 'empty', ['-f', at('id'), '--passphrase-file', await desk.write('\n')]],
      [5, 'no terminal', ['-f', at('id')]],
    ]
    for (const [status, words, args] of refusals) {
      const result = await desk.run(['gen', '--remember', ...args])
      expect({ args, ...result }).toMatchObject({ args, status, stdout: '', stderr: expect.stringMatching(words) })
    }
    await desk.keyring.lock()
    const answerer = await makeAnswerer(desk, SECRET)
    const env = { ...desk.env, ...answerer.env }
    const locked = await desk.run(['gen', '--remember', '-f', at('id')], { env })
    expect(locked).toMatchObject({ status: 4, stdout: '', stderr: expect.stringContaining('locked') })
    expect(await answerer.questions()).toEqual([])
    await desk.keyring.unlock()
    expect(await readdir(desk.home.ssh)).toEqual(['there'])
    expect([await entries(), await desk.rules(), await desk.ask(['list'])]).toEqual([[], undefined, []])
  })

  test('on a terminal: Ctrl-C leaves nothing; answered, it is remembered', async () => {
    const command = [process.execPath, keytoolPath, 'gen', '-t', 'ed25519', '--remember', '-f', at('id')]
    for (const end of ['\x03', '\r']) {
      const terminal = await openTerminal(command, { env: desk.env, cwd: desk.home.path })
      try {
        await terminal.waitFor(/passphrase for ~\/.ssh\/id/)
        await terminal.type('correct horse battery staple\r')
        await terminal.waitFor(/once more/)
        await terminal.type(`correct horse battery staple${end}`)
        expect(await terminal.exitStatus()).toBe(end === '\r' ? 0 : 130)
      } finally {
        await terminal.close()
      }
      if (end === '\r') continue
      expect([await readdir(desk.home.ssh), await entries(), await desk.rules()]).toEqual([[], [], undefined])
    }
    expect(await desk.keyring.read(await fingerprintOf(at('id')))).toBe('correct horse battery staple')
  })
})

describe('passphrase', () => {
  async function makeRemembered(): Promise<{ path: string; fingerprint: string; old: string; fresh: string }> {
    const made = await desk.makeKey('id', 'old')
    const [old, fresh] = [await desk.write('old\n'), await desk.write('nouveau é\n')]
    expect(await desk.run(['add', '--remember', made.path, '--passphrase-file', old])).toMatchObject({ status: 0 })
    return { ...made, old, fresh }
  }

  test('changed: the keychain has the new one', async () => {
    const { path, fingerprint, old, fresh } = await makeRemembered()
    const changed = await desk.run(['passphrase', path, '--passphrase-file', old, '--new-passphrase-file', fresh])
    expect(changed).toMatchObject({
      status: 0,
      stderr: '',
      stdout: expect.stringContaining('the keychain has the new'),
    })
    expect(await desk.keyring.read(fingerprint)).toBe('nouveau é')
    expect(await desk.run(['keychain', 'check'])).toMatchObject({ status: 0 })
    // The agent that runs has the new file: it opens it, and puts nothing old back.
    expect(await desk.run(['reencrypt', '--all'])).toMatchObject({ status: 0 })
    const env = { ...desk.env, SSH_AUTH_SOCK: join(desk.home.runtime, 'keytool', 'agent.sock') }
    expect(await run(peerPath('ssh-add'), ['-T', `${path}.pub`], { env })).toMatchObject({ status: 0 })
    expect(await desk.keyring.read(fingerprint)).toBe('nouveau é')
    // A wrong one changes neither.
    const wrong = await desk.run(['passphrase', path, '--passphrase-file', old, '--new-passphrase-file', old])
    expect(wrong.status).toBe(5)
    expect(await desk.keyring.read(fingerprint)).toBe('nouveau é')
    // Another key is none of the keychain's business.
    const other = await desk.makeKey('other', 'old')
    const alone = await desk.run(['passphrase', other.path, '--passphrase-file', old, '--new-passphrase-file', fresh])
    expect(alone).toMatchObject({ status: 0, stdout: expect.not.stringContaining('keychain') })
    expect(await entries()).toHaveLength(1)
  })

  test('another key in the file of a rule that names one is neither held nor remembered', async () => {
    const { path } = await makeRemembered()
    await Promise.all([unlink(path), unlink(`${path}.pub`)])
    await desk.makeKey('id', 'another one')
    await desk.restartAgent()
    expect(await desk.ask(['list'])).toEqual([])
    const { troubles } = await desk.ask<{ troubles: string[] }>(['agent', 'status'])
    expect(troubles).toContainEqual(expect.stringContaining('holds another key than its rule names'))
    expect(await entries()).toHaveLength(1)
  })

  test('removed: it is forgotten', async () => {
    const { path, fingerprint, old } = await makeRemembered()
    const removed = await desk.run(['passphrase', path, '--passphrase-file', old, '--remove'])
    expect(removed).toMatchObject({ status: 0, stderr: '', stdout: expect.stringContaining('forgotten') })
    expect(await desk.keyring.read(fingerprint)).toBeUndefined()
    expect([await entries(), await desk.rules()]).toEqual([[], [{ file: '~/.ssh/id', fingerprint, atLogin: true }]])
  })

  test.each(['locked', 'gone'])('%s keychain: the change stands, and what is stale is said', async how => {
    const { path, fingerprint, old, fresh } = await makeRemembered()
    if (how === 'locked') await desk.keyring.lock()
    // Neither an address of a bus nor its usual place.
    const env = how === 'locked' ? desk.env : { ...desk.home.env, XDG_RUNTIME_DIR: desk.home.ssh }
    const args = ['passphrase', path, '--passphrase-file', old, '--new-passphrase-file', fresh]
    const changed = await desk.run(args, { env })
    expect(changed).toMatchObject({
      status: 0,
      stderr: expect.stringMatching(
        /^the keychain still has the old passphrase: .*\n.*keytool add --remember ~\/.ssh\/id\n$/,
      ),
    })
    expect(await run(peerPath('ssh-keygen'), ['-y', '-P', 'nouveau é', '-f', path])).toMatchObject({ status: 0 })
    if (how === 'locked') await desk.keyring.unlock()
    expect(await desk.keyring.read(fingerprint)).toBe('old')
    expect(await desk.run(['keychain', 'check'])).toMatchObject({ status: 5, stdout: expect.stringContaining('stale') })
    // The remedy that was named is one.
    expect(await desk.run(['add', '--remember', path, '--passphrase-file', fresh])).toMatchObject({ status: 0 })
    expect(await desk.run(['keychain', 'check'])).toMatchObject({ status: 0 })
    await changePassphrase(path, 'nouveau é', 'old')
  })
})
