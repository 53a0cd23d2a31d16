import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { jest } from '@jest/globals'
import { fingerprint, generate, type PublicKey } from '@keytool/keygen'
import type { ExecOptions, ExecResult } from '@keytool/tunnel'
import { auditServer, type LastUses, readLastUses } from '@keytool/tunnel'
import { type Folder, temporaryFolder } from './world/folder.js'
import { peerPath } from './world/peers.js'
import { run } from './world/run.js'
import { startSshd } from './world/sshd.js'
import { createUser } from './world/system-user.js'

// The script that looks into a server's logs, run by the shells of accounts, over logs in a folder of their own; and whether
// the line it looks for is the one that OpenSSH's server writes.

jest.setTimeout(90_000)

const now = new Date('2026-11-30T12:00:00Z')
let folder: Folder
let keys: PublicKey[]

beforeAll(async () => {
  keys = await Promise.all([1, 2, 3].map(async () => (await generate('ed25519')).publicKey))
})
beforeEach(async () => {
  folder = await temporaryFolder()
  await mkdir(join(folder.path, 'var/log'), { recursive: true })
})
afterEach(() => folder.dispose())

const key = (n: number): PublicKey => keys[n] as PublicKey
const log = (name: string, text: string | Uint8Array) => writeFile(join(folder.path, 'var/log', name), text)
const accepted = (stamp: string, n: number, from = '192.0.2.7', user = 'hana') =>
  `${stamp} web1 sshd[7]: Accepted publickey for ${user} from ${from} port 4022 ssh2: ED25519 ${fingerprint(key(n))}\n`

/** The server's part, by a login shell with its own way of starting a command. */
function throughShell(program: string, args: readonly string[], env = {}) {
  return {
    async exec(command: string, { stdin }: ExecOptions = {}): Promise<ExecResult> {
      const options = { env: { PATH: '/usr/bin:/bin', ...env }, ...(stdin && { input: stdin }) }
      const { status, stdout, stderr } = await run(program, [...args, command], options)
      return { ...(status !== null && { status }), stdout: Buffer.from(stdout), stderr: Buffer.from(stderr) }
    },
  }
}

const look = (user = 'hana', shell = throughShell('/bin/sh', ['-c'])): Promise<LastUses> =>
  readLastUses(shell, { user, now, root: folder.path })

/** When, and from where, each of the keys was used last. */
const told = (uses: LastUses) =>
  keys.map(each => uses.of(each)).map(use => use && `${use.at.toISOString().slice(0, 10)} ${use.from}`)

const shells: readonly (readonly [string, string, readonly string[]])[] = [
  ['sh', '/bin/sh', ['-c']],
  ['bash', '/bin/bash', ['-c']],
  ['busybox sh', '/usr/bin/busybox', ['sh', '-c']],
  ['tcsh', '/usr/bin/tcsh', ['-c']],
  ['fish', '/usr/bin/fish', ['-c']],
]

test.each(shells)('%s: the logs of now and those rotated away, packed or not', async (_name, program, args) => {
  await log('auth.log', `2026-11-20T00:00:00Z web1 cron[1]: hello\n${accepted('2026-11-21T00:00:00Z', 0)}`)
  await log(
    'auth.log.1',
    `${accepted('2026-11-14T00:00:00Z', 0, '192.0.2.8')}${accepted('2026-11-15T00:00:00Z', 1, '::1')}`,
  )
  await log(
    'auth.log.2.gz',
    gzipSync(`2026-11-01T00:00:00Z web1 cron[1]: hello\n${accepted('2026-11-08T00:00:00Z', 1)}`),
  )
  const uses = await look('hana', throughShell(program, args))
  expect(told(uses)).toEqual(['2026-11-21 192.0.2.7', '2026-11-15 ::1', undefined])
  expect(uses.since).toEqual(new Date('2026-11-01T00:00:00Z'))
})

test.each(shells)('%s: authorized_keys2 is looked into, too', async (_name, program, args) => {
  const line = (n: number) => `restrict ssh-ed25519 ${key(n).blob.toString('base64')} x\n`
  await mkdir(join(folder.path, '.ssh'), { mode: 0o700 })
  const server = {
    ...throughShell(program, args, { HOME: folder.path }),
    openSubsystem: () => Promise.reject(new Error('there is a shell')),
  }
  const look = async () => (await auditServer(server, { user: 'hana', now, logs: false })).files
  expect(await look()).toEqual([{ path: '~/.ssh/authorized_keys', lines: [] }])
  await writeFile(join(folder.path, '.ssh/authorized_keys'), line(0))
  await writeFile(join(folder.path, '.ssh/authorized_keys2'), `${line(1)}\n\n# end`)
  expect(await look()).toMatchObject([
    { path: '~/.ssh/authorized_keys', lines: [{ fingerprint: fingerprint(key(0)) }] },
    { path: '~/.ssh/authorized_keys2', lines: [{ fingerprint: fingerprint(key(1)), findings: [] }] },
  ])
})

test('Red Hat’s names', async () => {
  await log('secure', '')
  await log('secure-20261122', accepted('Nov 15 00:00:00', 2))
  expect(told(await look())).toEqual([undefined, undefined, expect.stringMatching(/-11-1[45] 192\.0\.2\.7$/)])
})

test('busybox’s own tools will do', async () => {
  const bin = join(folder.path, 'bin')
  await mkdir(bin)
  for (const name of ['sh', 'awk', 'cat', 'date', 'gzip'])
    await writeFile(join(bin, name), `#!/usr/bin/busybox sh\nexec /usr/bin/busybox ${name} "$@"\n`, { mode: 0o755 })
  await log('auth.log', accepted('2026-11-21T00:00:00Z', 0))
  await log('auth.log.1.gz', gzipSync(accepted('2026-11-14T00:00:00Z', 1)))
  const shell = throughShell('/usr/bin/busybox', ['sh', '-c'], { PATH: bin })
  expect(told(await look('hana', shell))).toEqual(['2026-11-21 192.0.2.7', '2026-11-14 192.0.2.7', undefined])
})

test('a name is a name, whatever a shell or a pattern would make of it', async () => {
  const names = ['$(touch x)', '`touch x`', '*', '.*', 'a"b', "a'b", 'a\\b', 'hana from x', '-v', 'HANA']
  await log('auth.log', names.map(name => accepted('2026-11-21T00:00:00Z', 0, name.length.toString(), name)).join(''))
  for (const name of names) {
    expect(told(await look(name))).toEqual([`2026-11-21 ${name.length}`, undefined, undefined])
  }
  expect(told(await look('hana'))).toEqual([undefined, undefined, undefined])
})

test('no log is no answer; neither is one with thousands of keys, or without an end of lines', async () => {
  expect(await look()).toMatchObject({ of: expect.any(Function) })
  expect((await look()).since).toBeUndefined()
  const many = Array.from({ length: 3000 }, (_, i) =>
    accepted('2026-11-21T00:00:00Z', 0).replace(/.{9}\n/, `${i}`.padStart(9, 'x')),
  )
  await log('auth.log', `${accepted('2026-11-21T00:00:00Z', 0)}${many.join('\n')}\n${'x'.repeat(1 << 20)}`)
  expect(told(await look())).toEqual(['2026-11-21 192.0.2.7', undefined, undefined])
})

test('a login shell that greets first, or runs nothing', async () => {
  await log('auth.log', accepted('2026-11-21T00:00:00Z', 0))
  const greeting = throughShell('/bin/sh', ['-c', 'echo hello; echo "l x"; exec sh -c "$0"'])
  expect(told(await look('hana', greeting))).toEqual(['2026-11-21 192.0.2.7', undefined, undefined])
  const closed = throughShell('/bin/sh', ['-c', 'cat >/dev/null; echo This account is not available.; exit 1'])
  expect(told(await look('hana', closed))).toEqual([undefined, undefined, undefined])
})

test('the journal, where the system has one: what root’s sshd said there', async () => {
  const bin = join(folder.path, 'bin')
  await mkdir(bin)
  await writeFile(join(folder.path, 'journal'), `1790000000.1 web1 sshd[1]: hello\n${accepted('1795000000.5', 0)}`)
  // Stands in for systemd's, which takes matches of this form (journalctl(1)).
  const script = `#!/bin/sh\n[ "$*" = "-q --no-pager -o short-unix _UID=0 _COMM=sshd + _UID=0 _COMM=sshd-session + _UID=0 _COMM=dropbear" ] && exec cat '${folder.path}/journal'\n`
  await writeFile(join(bin, 'journalctl'), script, { mode: 0o755 })
  const shell = throughShell('/bin/sh', ['-c'], { PATH: `${bin}:/usr/bin:/bin` })
  const uses = await readLastUses(shell, { user: 'hana', now })
  expect(uses.of(key(0))).toEqual({ at: new Date(1795000000e3), from: '192.0.2.7' })
})

test('OpenSSH’s server writes the line that is looked for', async () => {
  const user = await createUser()
  const file = join(folder.path, 'id')
  await run(peerPath('ssh-keygen'), ['-q', '-t', 'ed25519', '-N', '', '-f', file])
  const { stdout } = await run(peerPath('ssh-keygen'), ['-y', '-f', file])
  const sshd = await startSshd({ users: [user], authorizedKeys: [stdout] })
  try {
    const options = ['-F', 'none', '-o', 'StrictHostKeyChecking=no', '-o', 'UserKnownHostsFile=/dev/null', '-i', file]
    await run(peerPath('ssh'), [...options, '-p', String(sshd.port), `${user.name}@127.0.0.1`, 'true'])
    const [line] = await sshd.waitForLog(/^Accepted publickey for .*$/m)
    await log('auth.log', `2026-11-21T00:00:00Z web1 sshd[1]: ${line}\n`.replace('\r', ''))
    const uses = await look(user.name)
    const [, print = ''] = /(SHA256:\S+)/.exec(line) ?? []
    expect(uses.of({ blob: Buffer.from(stdout.split(' ')[1] ?? '', 'base64') })).toEqual({
      at: new Date('2026-11-21T00:00:00Z'),
      from: '127.0.0.1',
    })
    expect(print).not.toBe('')
  } finally {
    await sshd.stop()
    await user.dispose()
    await rm(file)
  }
})
