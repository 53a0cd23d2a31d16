import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { jest } from '@jest/globals'
import { expectRefused, runIn, succeed, takeSnapshot } from './cli-fixture.js'
import { type Home, temporaryHome } from './world/home.js'

// `session import`: what is said, what is written, what the exit status is. What the real PuTTY keeps: sessions-putty.

jest.setTimeout(30_000)

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
  expect(stdout).toBe(`ok "Default Settings"  passed over: it names no host
ok session Mail-old, "Mail (old)"
  left out  ProxyPassword: a proxy's password: passwords are never carried
  left out  Compression: compression
  look at   the key's path is not of this machine: C:\\keys\\a.ppk
ok "console"  passed over: it is for serial, not for SSH
1 setting of looks, keyboard and window left out
1 host key added to known_hosts
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
  expect(stdout).toMatch(/^failed "a\\\\u\{1b\}\[31m" {2}refused: .*begin with -$/m)
  expect(stdout).toMatch(/^failed "b\\\\u\{a\}c" {2}refused: /m)
  expect(stdout).toMatch(/^1 host key refused\n {2}ssh-ed25519@22:-x: /m)
  expect(stdout).not.toContain('\u001b')
  expect(await readdir(sessions)).toEqual(['evil.json', 'good.json'])
  expect(await readFile(join(home.ssh, 'known_hosts'), 'utf8')).toMatch(/^good\.example ssh-ed25519 AAAA\S+\n$/)
})

test('a session of the same name and other content stays: 4; --force replaces it', async () => {
  await succeed(home, ['session', 'save', 'mail', 'old.example'])
  await writeExport('putty.reg', ...session('mail', '"HostName"="new.example"'))
  const { status, stdout, stderr } = await run('putty.reg')
  expect(status).toBe(4)
  expect(stdout).toBe('failed session mail  not taken over: there is another one of this name\n')
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
    /^1 host key not taken over: known_hosts says otherwise\n {2}mail\.example ssh-ed25519 SHA256:\S+: ~\/\.ssh\/known_hosts line 1 says SHA256:\S+\n/,
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
