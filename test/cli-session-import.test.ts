import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { jest } from '@jest/globals'
import { expectRefused, runIn, succeed, takeSnapshot } from './cli-fixture.js'
import { type Home, temporaryHome } from './world/home.js'

// `session import`: what is said, what is written, what the exit status is. What the real PuTTY keeps: sessions-putty.

jest.setTimeout(90_000)

let home: Home
let sessions: string

beforeEach(async () => {
  home = await temporaryHome()
  sessions = join(home.path, '.config/keytool/sessions')
})
afterEach(() => home.dispose())

const ROOT = 'HKEY_CURRENT_USER\\Software\\SimonTatham\\PuTTY'
/** A registry export as regedit writes it. */
async function writeExport(name: string, ...lines: string[]): Promise<void> {
  const text = ['Windows Registry Editor Version 5.00', '', ...lines, ''].join('\r\n')
  await writeFile(join(home.path, name), Buffer.from(`\ufeff${text}`, 'utf16le'))
}
const session = (name: string, ...values: string[]) => [`[${ROOT}\\Sessions\\${name}]`, ...values, '']
const run = (...args: string[]) => runIn(home, ['session', 'import', ...args])
const importJson = async (...args: string[]) => JSON.parse((await run(...args, '--json')).stdout)

const POINT =
  '0x216936d3cd6e53fec0a4e231fdd6dc5c692cc7609525a7b2c9562d608f25d51a,' +
  '0x6666666666666666666666666666666666666666666666666666666666666658'

const good = [
  ...session(
    'Mail%20%28old%29',
    '"HostName"="hana@mail.example"',
    '"PortNumber"=dword:000000e5',
    '"PortForwardings"="L1110=localhost:110,D1080="',
    '"LineCodePage"="EUC-JP"',
    '"Compression"=dword:00000001',
    '"PublicKeyFile"="C:\\\\keys\\\\a.ppk"',
    '"ProxyPassword"="tiger"',
    '"TermWidth"=dword:00000050',
  ),
  ...session('Default%20Settings', '"HostName"=""'),
  ...session('console', '"HostName"="a"', '"Protocol"="serial"'),
  `[${ROOT}\\SshHostKeys]`,
  `"ssh-ed25519@229:mail.example"="${POINT}"`,
]

test('says what was taken over and what was left out, writes both, and the second time nothing', async () => {
  await writeExport('putty.reg', ...good)
  const { status, stdout, stderr } = await run('putty.reg')
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
  expect(
    stdout.replace(/SHA256:\S{43}/, 'SHA256:FINGERPRINT'),
  ).toBe(`ok "Default Settings"  passed over: it names no host
ok session Mail-old, "Mail (old)"
  left out  ProxyPassword: a proxy's password: passwords are never carried
  left out  Compression: compression
  look at   the key's path is not of this machine: C:\\keys\\a.ppk
ok "console"  passed over: it is for serial, not for SSH
1 setting of looks, keyboard and window left out
1 host key added to known_hosts
  [mail.example]:229 ssh-ed25519 SHA256:FINGERPRINT
Next: keytool session show Mail-old
`)
  expect(await readdir(sessions)).toEqual(['Mail-old.json'])
  expect(JSON.parse(await readFile(join(sessions, 'Mail-old.json'), 'utf8'))).toEqual({
    version: 1,
    name: 'Mail-old',
    host: 'mail.example',
    port: 229,
    user: 'hana',
    charset: 'euc-jp',
    key: 'C:\\keys\\a.ppk',
    forwards: { local: ['1110:localhost:110'], remote: [], dynamic: ['1080'] },
  })
  expect(await readFile(join(home.ssh, 'known_hosts'), 'utf8')).toMatch(/^\[mail\.example\]:229 ssh-ed25519 AAAA\S+\n$/)

  const before = await takeSnapshot(home.path)
  const again = await run('putty.reg')
  expect(again).toMatchObject({ status: 0, stdout: expect.stringContaining('there already') })
  expect(await takeSnapshot(home.path)).toEqual(before)
})

test('new host keys are named: ten of them, all in a dry run and in JSON', async () => {
  const keys = Array.from({ length: 12 }, (_, i) => `"ssh-ed25519@22:h${i}.example"="${POINT}"`)
  await writeExport('putty.reg', `[${ROOT}\\SshHostKeys]`, ...keys)
  const named = (stdout: string) => stdout.match(/^ {2}h\d+\.example ssh-ed25519 SHA256:\S{43}$/gm)
  expect(named((await run('putty.reg', '--dry-run')).stdout)).toHaveLength(12)
  expect((await importJson('putty.reg', '--dry-run')).hostKeys).toHaveLength(12)
  const { stdout } = await run('putty.reg')
  expect(named(stdout)).toHaveLength(10)
  expect(stdout).toMatch(/^12 host keys added to known_hosts\n(.*\n){10} {2}and 2 more: --json names them all\n$/)
})

test('a dry run writes nothing', async () => {
  await writeExport('putty.reg', ...good)
  const before = await takeSnapshot(home.path)
  const { status, stderr } = await run('putty.reg', '--dry-run')
  expect([status, stderr]).toEqual([0, 'nothing was written: that was a dry run\n'])
  expect(await takeSnapshot(home.path)).toEqual(before)
})

test('refuses a hostile session for itself: 6, named and escaped, the others imported', async () => {
  await writeExport(
    'putty.reg',
    ...session('a%1B[31m', '"HostName"="-oProxyCommand=touch x"'),
    ...session('b%0Ac', '"HostName"="a\r\nHost evil"'),
    ...session('..%2F..%2Fevil', '"HostName"="good.example"'),
    ...session('good', '"HostName"="good.example"'),
    `[${ROOT}\\SshHostKeys]`,
    `"ssh-ed25519@22:-x"="${POINT}"`,
    `"ssh-ed25519@22:good.example"="${POINT}"`,
  )
  const { status, stdout } = await run('putty.reg')
  expect(status).toBe(6)
  expect(stdout).toMatch(/^failed "a\\u\{1b\}\[31m" {2}refused: .*begin with -$/m)
  expect(stdout).toMatch(/^failed "b\\u\{a\}c" {2}refused: /m)
  expect(stdout).toMatch(/^1 host key refused\n {2}ssh-ed25519@22:-x: /m)
  expect(stdout).not.toContain('\u001b')
  expect(stdout).toMatch(/\n2 of 4 sessions came through, 1 host key did not\n$/)
  expect((await run('putty.reg', '--dry-run')).stdout).toMatch(
    /\n2 of 4 sessions would come through, 1 host key would not\n$/,
  )
  expect(await readdir(sessions)).toEqual(['evil.json', 'good.json'])
  expect(await readFile(join(home.ssh, 'known_hosts'), 'utf8')).toMatch(/^good\.example ssh-ed25519 AAAA\S+\n$/)
})

test('a session of the same name and other content stays: 4; --force replaces it', async () => {
  await succeed(home, ['session', 'save', 'mail', 'old.example'])
  await writeExport('putty.reg', ...session('mail', '"HostName"="new.example"'))
  const { status, stdout, stderr } = await run('putty.reg')
  expect(status).toBe(4)
  expect(stdout).toBe(
    'failed session mail  not taken over: there is another one of this name\n0 of 1 session came through\n',
  )
  expect(stderr).toBe('to replace sessions of the same name: --force\n')
  expect(await readFile(join(sessions, 'mail.json'), 'utf8')).toContain('old.example')
  expect(await importJson('putty.reg', '--force')).toMatchObject({ sessions: [{ name: 'mail', state: 'replaced' }] })
  expect(await readFile(join(sessions, 'mail.json'), 'utf8')).toContain('new.example')
})

test('a host key that contradicts known_hosts: 8, both fingerprints, nothing overwritten', async () => {
  const line = 'mail.example ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFhmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmbm\n'
  await writeFile(join(home.ssh, 'known_hosts'), line)
  await writeExport('putty.reg', `[${ROOT}\\SshHostKeys]`, `"ssh-ed25519@22:mail.example"="${POINT}"`)
  const { status, stdout } = await run('putty.reg')
  expect(status).toBe(8)
  expect(stdout).toMatch(
    /^1 host key not taken over: known_hosts says otherwise\n {2}mail\.example ssh-ed25519 SHA256:\S+: ~\/\.ssh\/known_hosts line 1 says SHA256:\S+\n1 host key did not come through\n$/,
  )
  expect(await readFile(join(home.ssh, 'known_hosts'), 'utf8')).toBe(line)
})

test('without FILE it looks where PuTTY does, and says where Windows keeps them', async () => {
  const refusal = { status: 3, code: 'not-found', says: /reg export HKCU/ }
  await expectRefused(home, ['session', 'import'], refusal)
  await mkdir(join(home.path, '.putty/sessions'), { recursive: true })
  await writeFile(join(home.path, '.putty/sessions/web%20server'), 'HostName=web.example\nProtocol=ssh\n')
  await writeFile(join(home.path, '.putty/randomseed'), Buffer.from([0, 1, 2]))
  expect(await importJson()).toMatchObject({ sessions: [{ from: 'web server', name: 'web-server', state: 'new' }] })
  const elsewhere = join(home.path, 'elsewhere')
  await mkdir(join(elsewhere, 'sessions'), { recursive: true })
  await writeFile(join(elsewhere, 'sessions/db'), 'HostName=db.example\n')
  const found = await runIn(home, ['session', 'import', '--json'], { env: { ...home.env, PUTTYDIR: elsewhere } })
  expect(JSON.parse(found.stdout)).toMatchObject({ sessions: [{ name: 'db', state: 'new' }] })
})

test('ssh_config: named hosts become sessions', async () => {
  await writeFile(join(home.ssh, 'config'), 'Host mail *.example\n  HostName mail.example\n  Compression yes\n', {
    mode: 0o600,
  })
  expect(await importJson('--from', 'ssh_config')).toMatchObject({
    sessions: [{ from: 'mail', name: 'mail', state: 'new', leftOut: ['Compression'] }],
  })
  expect(await succeed(home, ['session', 'show', 'mail'])).toBe('server  mail.example port 22\n')
})

test('ssh_config: what names no host is said, once, and in JSON', async () => {
  const patterns = Array.from({ length: 12 }, (_, i) => `*.w${i}`)
  const text = `Host a ${patterns.join(' ')}\nHost * *.w1\nMatch host a user hana\n  Port 1\nMatch all\n`
  await writeFile(join(home.ssh, 'config'), text, { mode: 0o600 })
  expect(await run('--from', 'ssh_config')).toEqual(
    expect.objectContaining({
      status: 0,
      stderr: '',
      stdout: `ok session a
12 patterns named no host: ${patterns.slice(0, 10).join(', ')} and 2 more
1 Match block named no host: host a user hana
Next: keytool session show a
`,
    }),
  )
  expect(await importJson('--from', 'ssh_config')).toMatchObject({ patterns, matches: ['host a user hana'] })
})

test('- is standard input', async () => {
  await writeExport('putty.reg', ...good)
  const input = await readFile(join(home.path, 'putty.reg'))
  const { status, stdout } = await runIn(home, ['session', 'import', '-', '--json'], { input })
  expect([status, JSON.parse(stdout).sessions[1]]).toEqual([
    0,
    expect.objectContaining({ name: 'Mail-old', state: 'new' }),
  ])
  const refused = { status: 2, code: 'usage', says: /standard input/ }
  await expectRefused(home, ['session', 'import', '-', '--from', 'ssh_config'], refused, { input: 'Host a\n' })
  await expectRefused(home, ['session', 'import', '-'], refused, { input: 'Host a\n' })
  const unknown = { status: 6, code: 'unsupported', says: /standard input: / }
  await expectRefused(home, ['session', 'import', '-'], unknown, { input: 'nothing' })
})

test('names of a Japanese Windows: shown as they are, the host for a name', async () => {
  await writeExport(
    'putty.reg',
    ...session('%93%FA%96%7B%8C%EA', '"HostName"="a.example"'),
    ...session('%93%FA%96%7B%8C%EA2', '"HostName"="a.example"'),
  )
  expect((await run('putty.reg')).stdout).toMatch(
    /^ok session a\.example, "日本語"\nok session a\.example-2, "日本語2"\n/,
  )
})

test('ssh_config: what there is too much to read for is left out, said, and 6', async () => {
  await writeFile(join(home.ssh, 'long'), '\n'.repeat(9999), { mode: 0o600 })
  const names = Array.from({ length: 15 }, (_, i) => `h${i}`)
  const text = `Include ${'long '.repeat(60)}\nHost ${names.join(' ')}\n  ProxyCommand nc %h %p\n  ForwardAgent yes\n`
  await writeFile(join(home.ssh, 'config'), text, { mode: 0o600 })
  const { status, stdout, stderr } = await run('--from', 'ssh_config')
  expect(status).toBe(6)
  expect(stdout).toBe(`ok session h0
  look at   a command is run to reach the host: nc %h %p
  look at   the agent is forwarded: the server may use it
failed 14 hosts not read: all files are read for each, and they are too long
  h1 h2 h3 h4 h5 h6 h7 h8 h9 h10 and 4 more
Next: keytool session show h0
1 of 15 sessions came through
`)
  expect(stderr).toBe('for the rest: keytool session import FILE, with a shorter file\n')
  expect((await importJson('--from', 'ssh_config')).notRead).toEqual(names.slice(1))
})

test.each([
  [['nothing.reg'], 3, 'not-found'],
  [['picture'], 6, 'unsupported'],
  [['broken.reg'], 6, 'damaged'],
  [['many.reg'], 6, 'damaged'],
  [['large.reg'], 6, 'damaged'],
  [['putty.reg', '--from', 'klingon'], 2, 'usage'],
  [['--from', 'kitty'], 3, 'not-found'],
  [['--from', 'ssh_config'], 3, 'not-found'],
] as [string[], number, string][])('import %j: %i', async (args, status, code) => {
  await writeFile(join(home.path, 'picture'), Buffer.from([0x89, 0x50, 0, 0]))
  await writeFile(join(home.path, 'broken.reg'), 'REGEDIT4\n<html>')
  await writeFile(join(home.path, 'large.reg'), Buffer.alloc(16 * 1024 * 1024 + 1, 0x20))
  await writeExport('putty.reg', ...good)
  const many = Array.from({ length: 100_000 }, (_, i) => `[${ROOT}\\Sessions\\${i}]`)
  if (args[0] === 'many.reg') await writeExport('many.reg', ...many)
  await expectRefused(home, ['session', 'import', ...args], { status, code })
})
