import { lstat, mkdir, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { jest } from '@jest/globals'
import { runIn, succeed, takeSnapshot } from './cli-fixture.js'
import { type Home, temporaryHome } from './world/home.js'
import { peerPath } from './world/peers.js'
import { keytoolPath, type RunResult, run } from './world/run.js'

// What is written where, with which permissions, and what is left alone.

jest.setTimeout(90_000)

let home: Home
const at = (name: string) => join(home.path, name)
const modeOf = async (name: string) => ((await stat(at(name))).mode & 0o777).toString(8)

beforeEach(async () => {
  home = await temporaryHome()
})
afterEach(() => home.dispose())

/** Runs a shell script that calls the program as "$@" does. */
function inShell(script: string, ...args: string[]): Promise<RunResult> {
  const call = [process.execPath, keytoolPath, ...args]
  return run('/bin/sh', ['-c', script, 'sh', ...call], { env: home.env, cwd: home.path })
}

describe.each(['022', '077', '000'])('umask %s', umask => {
  test('private files 0600, public ones 0644, folders 0700', async () => {
    await rm(home.ssh, { recursive: true })
    const umasked = `umask ${umask}; exec "$@"`
    for (const args of [
      ['gen', '--no-passphrase', '-C', 'c'],
      ['gen', '--no-passphrase', '-C', 'c', '--format', 'ppk', '-f', 'far/off/key.ppk'],
      ['convert', '.ssh/id_ed25519', '--to', 'ppk', '-o', 'made/key.ppk'],
      ['public', '.ssh/id_ed25519', '-o', 'made/key.pub'],
      ['session', 'save', 'mail', 'mail.example'],
    ]) {
      expect(await inShell(umasked, ...args)).toMatchObject({ status: 0, stderr: '' })
    }
    const modes = Object.fromEntries(
      await Promise.all(
        [
          ...['.ssh', '.ssh/id_ed25519', '.ssh/id_ed25519.pub', 'far', 'far/off', 'far/off/key.ppk'],
          ...['far/off/key.ppk.pub', 'made', 'made/key.ppk', 'made/key.pub'],
          ...['.config', '.config/keytool', '.config/keytool/sessions', '.config/keytool/sessions/mail.json'],
        ].map(async name => [name, await modeOf(name)]),
      ),
    )
    expect(modes).toEqual({
      '.ssh': '700',
      '.ssh/id_ed25519': '600',
      '.ssh/id_ed25519.pub': '644',
      far: '700',
      'far/off': '700',
      'far/off/key.ppk': '600',
      'far/off/key.ppk.pub': '644',
      made: '700',
      'made/key.ppk': '600',
      'made/key.pub': '644',
      '.config': '700',
      '.config/keytool': '700',
      '.config/keytool/sessions': '700',
      '.config/keytool/sessions/mail.json': '600',
    })
  })
})

test('gen leaves the two files and nothing else, and they are a pair', async () => {
  await succeed(home, ['gen', '--no-passphrase', '-C', 'a label'])
  expect((await readdir(home.ssh)).sort()).toEqual(['id_ed25519', 'id_ed25519.pub'])
  expect((await readdir(home.path)).sort()).toEqual(['.ssh', 'run'])
  const shown = await run(peerPath('ssh-keygen'), ['-y', '-f', at('.ssh/id_ed25519')])
  expect(await readFile(at('.ssh/id_ed25519.pub'), 'utf8')).toBe(shown.stdout)
  expect(shown.stdout).toMatch(/ a label\n$/)
})

test.each([
  ['ed25519', [], 'id_ed25519', 256],
  ['ecdsa-384', [], 'id_ecdsa', 384],
  ['ecdsa', ['-b', '521'], 'id_ecdsa', 521],
  ['ecdsa', [], 'id_ecdsa', 256],
  ['rsa', ['-b', '2048'], 'id_rsa', 2048],
  ['rsa', [], 'id_rsa', 3072],
])('gen -t %s %j goes to ~/.ssh/%s', async (type, more, name, bits) => {
  const made = JSON.parse(await succeed(home, ['gen', '-t', type, ...more, '--no-passphrase', '--json']))
  expect(made).toMatchObject({ path: join(home.ssh, name), bits })
  expect((await readdir(home.ssh)).sort()).toEqual([name, `${name}.pub`])
})

test('a folder that was there keeps its permissions', async () => {
  await mkdir(at('shared'), { mode: 0o755 })
  await succeed(home, ['gen', '--no-passphrase', '-f', 'shared/key'])
  expect(await modeOf('shared')).toBe('755')
})

describe('--force', () => {
  test('replaces both files with a fresh pair, whatever their permissions were', async () => {
    await writeFile(at('key'), 'old', { mode: 0o666 })
    await writeFile(at('key.pub'), 'old', { mode: 0o600 })
    await succeed(home, ['gen', '--no-passphrase', '-f', 'key', '--force', '-C', 'c'])
    expect([await modeOf('key'), await modeOf('key.pub')]).toEqual(['600', '644'])
    expect(await succeed(home, ['public', 'key'])).toBe(await readFile(at('key.pub'), 'utf8'))
    expect((await readdir(home.path)).sort()).toEqual(['.ssh', 'key', 'key.pub', 'run'])
  })

  test('works where nothing was there', async () => {
    await succeed(home, ['gen', '--no-passphrase', '-f', 'key', '--force'])
    await succeed(home, ['convert', 'key', '--to', 'ppk', '-o', 'key.ppk', '--force'])
    expect((await readdir(home.path)).sort()).toEqual(['.ssh', 'key', 'key.ppk', 'key.pub', 'run'])
  })

  test.each(['gen', 'convert', 'public'])('%s leaves a link a link, and replaces what it points to', async command => {
    await succeed(home, ['gen', '--no-passphrase', '-f', 'source', '-C', 'c'])
    await mkdir(at('elsewhere'))
    await writeFile(at('elsewhere/target'), 'old')
    await symlink('elsewhere/target', at('link'))
    const calls: Record<string, string[]> = {
      gen: ['gen', '--no-passphrase', '-f', 'link'],
      convert: ['convert', 'source', '--to', 'ppk', '-o', 'link'],
      public: ['public', 'source', '-o', 'link'],
    }
    await succeed(home, [...(calls[command] ?? []), '--force'])
    expect((await lstat(at('link'))).isSymbolicLink()).toBe(true)
    expect((await readdir(at('elsewhere'))).sort()).toEqual(['target'])
    expect(await readFile(at('elsewhere/target'), 'utf8')).not.toBe('old')
    expect(await modeOf('elsewhere/target')).toBe(command === 'public' ? '644' : '600')
  })

  test('a link to nowhere stays a link, and its target is made', async () => {
    await mkdir(at('elsewhere'))
    await symlink('elsewhere/target', at('link'))
    await succeed(home, ['gen', '--no-passphrase', '-f', 'link', '--force'])
    expect((await lstat(at('link'))).isSymbolicLink()).toBe(true)
    expect(await readFile(at('elsewhere/target'), 'utf8')).toMatch(/^-----BEGIN OPENSSH/)
  })

  test('when the public half can not be replaced, the private key stays', async () => {
    await succeed(home, ['gen', '--no-passphrase', '-f', 'key', '-C', 'c'])
    await rm(at('key.pub'))
    await mkdir(at('key.pub/occupied'), { recursive: true })
    const before = await takeSnapshot(home.path)
    const { status, stdout, stderr } = await runIn(home, ['gen', '--no-passphrase', '-f', 'key', '--force'])
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' })
    expect(stderr).toContain('key.pub')
    expect(await takeSnapshot(home.path)).toEqual(before)
  })
})

test('convert in place: the same file with --force, other permissions put right', async () => {
  await succeed(home, ['gen', '--no-passphrase', '-f', 'key', '-C', 'c'])
  const line = await succeed(home, ['public', 'key'])
  await succeed(home, ['convert', 'key', '--to', 'ppk', '-o', 'key', '--force'])
  expect(await readFile(at('key'), 'utf8')).toMatch(/^PuTTY-User-Key-File-3/)
  expect(await succeed(home, ['public', 'key'])).toBe(line)
  expect((await readdir(home.path)).sort()).toEqual(['.ssh', 'key', 'key.pub', 'run'])
})

test.each([
  ['a name with spaces', ' a key with  spaces '],
  ['a name in other scripts', '鍵-clé-ключ-🔑'],
  ['a name beginning with a dash', '-key'],
  ['a name that is an option', '--force'],
  ['a name with a newline', 'a\nb'],
  ['a name with a quote and a dollar', `it's "$HOME"`],
])('%s', async (_, name) => {
  await succeed(home, ['gen', '--no-passphrase', '-C', 'c', '-f', name])
  expect((await readdir(home.path)).sort()).toEqual(['.ssh', name, `${name}.pub`, 'run'].sort())
  const line = await readFile(at(`${name}.pub`), 'utf8')
  expect(await succeed(home, ['public', '--', name])).toBe(line)
  expect(await succeed(home, ['fingerprint', '--', name])).toMatch(/^256 SHA256:/)
  expect(JSON.parse(await succeed(home, ['inspect', '--json', '--', name]))).toMatchObject([{ path: name }])
  await succeed(home, ['convert', '--to', 'ppk', '-o', `${name}.ppk`, '--', name])
  expect(await succeed(home, ['public', '--', `${name}.ppk`])).toBe(line)
  // What is shown of it is one line.
  const text = await succeed(home, ['inspect', '--', name])
  expect(text.split('\n')).toHaveLength(4)
})

test('-- ends the options', async () => {
  await succeed(home, ['gen', '--no-passphrase', '-f', 'key', '-C', 'c'])
  const refused = await runIn(home, ['inspect', 'key', '--', '--json'])
  expect(refused.status).toBe(3)
  expect(refused.stderr).toContain('--json is not there')
  expect(refused.stdout).toMatch(/^key\n/)
})
