import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, lstat, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { jest } from '@jest/globals'
import { type Home, temporaryHome } from './world/home.js'
import { peerPath } from './world/peers.js'
import { keytool, run, runOrThrow } from './world/run.js'

// `keytool known-hosts` as a user runs it, beside ssh-keygen -F and -R.

jest.setTimeout(120_000)

let home: Home
const keys: string[] = []

beforeAll(async () => {
  home = await temporaryHome()
  for (const name of ['one', 'two']) {
    await runOrThrow(peerPath('ssh-keygen'), ['-q', '-t', 'ed25519', '-N', '', '-C', '', '-f', join(home.path, name)])
    keys.push((await readFile(join(home.path, `${name}.pub`), 'utf8')).trim())
  }
})

beforeEach(async () => {
  for (const name of await readdir(home.ssh)) await rm(join(home.ssh, name))
})

afterAll(() => home.dispose())

const file = () => join(home.ssh, 'known_hosts')
const content = () => readFile(file(), 'utf8')
const ours = (...args: string[]) => keytool(['known-hosts', ...args], { env: home.env })
const sshKeygen = (...args: string[]) => run(peerPath('ssh-keygen'), args)

test('remove does to a plain file what ssh-keygen -R does, and keeps the old one, too', async () => {
  const lines = [`web1 ${keys[0]}`, '# web1', '', `[web1]:2222 ${keys[1]}`, `web2 ${keys[0]}`, `WEB1 ${keys[1]} me`]
  const before = `${lines.join('\n')}\n`
  const theirs = join(home.path, 'theirs')
  for (const hash of [false, true]) {
    await writeFile(theirs, before)
    if (hash) await runOrThrow(peerPath('ssh-keygen'), ['-q', '-H', '-f', theirs])
    await writeFile(file(), await readFile(theirs))
    const old = await content()
    for (const [word, host] of [['web1', 'web1'] as const, ['[web1]:2222', '[web1]:2222'] as const]) {
      expect(await ours('remove', word)).toMatchObject({ status: 0, stderr: '' })
      expect(await sshKeygen('-q', '-R', host, '-f', theirs)).toMatchObject({ status: 0 })
      expect(await content()).toBe(await readFile(theirs, 'utf8'))
    }
    expect(await readFile(`${theirs}.old`, 'utf8')).toBe(await readFile(`${file()}.old`, 'utf8'))
    expect(old).not.toBe(await content())
    expect(await sshKeygen('-F', 'web1', '-f', file())).toMatchObject({ status: 1 })
    expect(await sshKeygen('-F', 'web2', '-f', file())).toMatchObject({ status: 0 })
  }
})

test('it says what it removed and where, and what stays', async () => {
  await writeFile(file(), `# x\nalias,web1 ${keys[0]} c\n*1 ${keys[1]}\n`, { mode: 0o644 })
  const result = await ours('remove', 'web1')
  expect(result).toMatchObject({ status: 0 })
  expect(result.stdout).toMatch(
    /removed ssh-ed25519 SHA256:\S+ {2}\(~\/\.ssh\/known_hosts line 2\)\nthe file as it was: ~\/\.ssh\/known_hosts\.old\n/,
  )
  expect(result.stderr).toMatch(/^still there: the key SHA256:\S+ for \*1 {2}\(~\/\.ssh\/known_hosts line 3\)\n$/)
  expect(await content()).toBe(`# x\nalias ${keys[0]} c\n*1 ${keys[1]}\n`)
  expect((await stat(file())).mode & 0o777).toBe(0o644)
  const again = await ours('remove', 'web1')
  expect(again).toMatchObject({ status: 4, stdout: '' })
  expect(again.stderr).toContain('known_hosts line 3')
})

test('a link stays a link; -f names another file; --json has the facts', async () => {
  const real = join(home.path, 'real')
  await writeFile(real, `web1 ${keys[0]}\nweb2 ${keys[0]}\n`)
  await symlink(real, file())
  const result = await ours('remove', '-p', '2222', '--json', 'web1')
  expect(result).toMatchObject({ status: 3, stdout: '' })
  expect(JSON.parse(result.stderr)).toMatchObject({ error: { code: 'not-found', hint: 'it is known as web1' } })
  expect(JSON.parse((await ours('remove', '--json', 'web1')).stdout)).toMatchObject({
    host: 'web1',
    removed: [{ file: file(), line: 1, marker: null, hosts: 'web1', type: 'ssh-ed25519' }],
    left: [],
  })
  expect((await lstat(file())).isSymbolicLink()).toBe(true)
  expect(await readFile(real, 'utf8')).toBe(`web2 ${keys[0]}\n`)
  expect(await ours('remove', '-f', real, 'web2')).toMatchObject({ status: 0 })
  expect(await readFile(real, 'utf8')).toBe('')
})

test('list shows the lines that ssh-keygen -F finds, fingerprints as ssh-keygen -l has them', async () => {
  const marked = `@cert-authority *.example ${keys[1]}\n@revoked * ${keys[1]}\n`
  await writeFile(file(), `a.example,b ${keys[0]}\nc ${keys[1]}\n${marked}[a.example]:2222 ${keys[1]}\n`)
  const { stdout } = await ours('list', 'a.example', '--json')
  const found = JSON.parse(stdout) as { file: string; line: number; fingerprint: string; marker: string | null }[]
  expect(found.map(each => each.file)).toEqual([file(), file(), file()])
  expect(found.map(({ line, marker }) => [line, marker])).toEqual([
    [1, null],
    [3, 'cert-authority'],
    [4, 'revoked'],
  ])
  const theirs = (await sshKeygen('-F', 'a.example', '-f', file())).stdout
  expect([...theirs.matchAll(/found: line (\d+)/g)].map(([, line]) => Number(line))).toEqual([1, 3, 4])
  expect((await sshKeygen('-l', '-f', join(home.path, 'one.pub'))).stdout).toContain(found[0]?.fingerprint ?? '?')
  const shown = (await ours('list', 'a.example:2222')).stdout
  expect(shown).toMatch(/^\[a\.example\]:2222 +ssh-ed25519 +SHA256:\S+ +~\/\.ssh\/known_hosts line 5$/m)
})

test('a saved session is as good as a host', async () => {
  await keytool(['session', 'save', 'mail', '--host', 'mail.example', '-p', '229'], { env: home.env })
  await writeFile(file(), `[mail.example]:229 ${keys[0]}\n`)
  expect(await ours('list', 'mail')).toMatchObject({ status: 0 })
  expect(await ours('remove', 'mail')).toMatchObject({ status: 0 })
  expect(await content()).toBe('')
})

test.each([
  ['UTF-16', Buffer.from('\ufeffweb1 ssh-ed25519 AAAA\n', 'utf16le')],
  ['a NUL byte', Buffer.from('web1 ssh-ed25519 AAAA\n\0\n')],
])('%s: 6, and not a byte is changed', async (_what, bytes) => {
  await writeFile(file(), bytes)
  const result = await ours('remove', 'web1')
  expect(result).toMatchObject({ status: 6, stdout: '' })
  expect(await readFile(file())).toEqual(bytes)
  expect(await readdir(home.ssh)).toEqual(['known_hosts'])
})

test('what a file says can do nothing to a terminal', async () => {
  await writeFile(file(), `web1,\x1b]0;evil\x07\u202e ${keys[0]}\n*\x1b[2J ${keys[0]}\n`)
  const list = await ours('list')
  expect(list.stdout).toContain('\\u{1b}]0;evil')
  const { stdout, stderr } = await ours('remove', 'web1')
  const shown = list.stdout + list.stderr + stdout + stderr
  expect(['\x1b', '\x07', '\u202e'].filter(each => shown.includes(each))).toEqual([])
  // The other name on the line stays, whatever it is.
  expect(await content()).toBe(`\x1b]0;evil\x07\u202e ${keys[0]}\n*\x1b[2J ${keys[0]}\n`)
})

test('what is no host, or two of them, is a usage error', async () => {
  const lines = [[], ['web1', 'web2'], ['-p', '0', 'web1'], ['-p', '22', 'web1:23'], ['-oProxyCommand=x'], ['$(x)']]
  const results = await Promise.all(lines.map(words => ours('remove', ...words)))
  expect(results.map(({ status }) => status)).toEqual(lines.map(() => 2))
})

test('several at once, while ssh appends: nothing is lost', async () => {
  const gone = Array.from({ length: 5 }, (_, i) => `gone${i}`)
  const kept = Array.from({ length: 40 }, (_, i) => `kept${i}`)
  await writeFile(file(), gone.map(name => `${name} ${keys[0]}\n`).join(''))
  await chmod(file(), 0o600)
  const script = 'for name in "$@"; do echo "$name $KEY" >>"$FILE"; sleep 0.05; done'
  const appending = spawn('/bin/sh', ['-c', script, 'sh', ...kept], { env: { FILE: file(), KEY: keys[1] } })
  const done = once(appending, 'exit')
  const results = await Promise.all(gone.map(name => ours('remove', name)))
  expect(results.map(({ status }) => status)).toEqual(gone.map(() => 0))
  await done
  const names = (await content()).split('\n').map(line => line.split(' ')[0] ?? '')
  expect(names.filter(name => name.startsWith('gone'))).toEqual([])
  expect(kept.filter(name => !names.includes(name))).toEqual([])
})
