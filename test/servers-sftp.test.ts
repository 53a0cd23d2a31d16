import {
  chmod,
  chown,
  link,
  lstat,
  mkdir,
  mkdtemp,
  open as openFile,
  readdir,
  readFile,
  rm,
  stat,
  symlink,
  utimes,
  writeFile,
} from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { jest } from '@jest/globals'
import type { Connection } from '@keytool/tunnel'
import { openKeyFile } from '../packages/tunnel/src/servers/open-key-file.js'
import { openSftpKeyFile } from '../packages/tunnel/src/servers/sftp-key-file.js'
import { Bench, makeKey } from './tunnel-forwards-fixture.js'
import { type Duty, leaveDuty } from './world/duty.js'
import { newestServers } from './world/newest-sshd.js'
import { run, runOrThrow } from './world/run.js'
import { type Sshd, type SshdOptions, startSshd } from './world/sshd.js'
import { createUser, type SystemUser } from './world/system-user.js'

// authorized_keys by SFTP alone, at OpenSSH's servers: accounts that have no shell.

jest.setTimeout(90_000)

/** Not one that lets anybody in: what stands in the file matters here, byte for byte. */
const before = Buffer.from('# kept by hand\r\nssh-ed25519 AAAA one\n\n  from="a b" ssh-rsa BBBB two', 'latin1')
const line = Buffer.from('ssh-ed25519 CCCC new\n')
const after = Buffer.concat([before, Buffer.from('\n'), line])

let bench: Bench
let user: SystemUser
let key: Awaited<ReturnType<typeof makeKey>>
let keysFolder: string
let sftpOnly: Sshd
let connection: Connection
const sshds: Sshd[] = []
const duties: Duty[] = []

beforeAll(async () => {
  bench = await Bench.open()
  user = await createUser()
  key = await makeKey()
  // The server reads another file than the one that is changed, so that both may be as they like.
  keysFolder = await mkdtemp('/run/kt-')
  await chmod(keysFolder, 0o755)
  await writeFile(join(keysFolder, 'keys'), `${key.line}\n`, { mode: 0o644 })
  sftpOnly = await serve(['ForceCommand internal-sftp'])
  connection = await connectTo(sftpOnly)
}, 90_000)

afterEach(async () => {
  for (const duty of duties.splice(0).reverse()) await duty.perform()
  await rm(user.home, { recursive: true, force: true })
  await mkdir(user.home, { mode: 0o700 })
  await chown(user.home, user.uid, user.gid)
})

afterAll(async () => {
  await bench.close()
  for (const sshd of sshds) await sshd.stop()
  await rm(keysFolder, { recursive: true })
  await user.dispose()
}, 90_000)

async function serve(config: readonly string[], more: Partial<SshdOptions> = {}): Promise<Sshd> {
  const hostKeyFiles = sshds[0]?.hostKeyFiles
  // sshd takes the first value of several.
  const lines = [...config, `AuthorizedKeysFile ${keysFolder}/keys`]
  const sshd = await startSshd({ users: [user], config: lines, ...(hostKeyFiles && { hostKeyFiles }), ...more })
  sshds.push(sshd)
  return sshd
}

const connectTo = ({ port }: Sshd) => bench.connect({ port, user: user.name, key: key.key })
const open = () => openSftpKeyFile(connection)
const ssh = (name = '') => join(user.home, '.ssh', name)

/** What there is, as `NAME MODE UID`, everything below the folder. */
async function list(folder = user.home): Promise<readonly string[]> {
  const names = (await readdir(folder, { recursive: true })).sort()
  const lines = names.map(async name => {
    const { mode, uid } = await lstat(join(folder, name))
    return `${name} ${(mode & 0o7777).toString(8)} ${uid === user.uid ? 'user' : uid}`
  })
  return Promise.all(lines)
}

/** `~/.ssh/authorized_keys` as it stood before anybody came. */
async function prepare(content = before, mode = 0o600): Promise<void> {
  await mkdir(ssh(), { mode: 0o700 })
  await chown(ssh(), user.uid, user.gid)
  await put(ssh('authorized_keys'), content, mode)
}

async function put(path: string, content: Buffer | string, mode = 0o600): Promise<void> {
  await writeFile(path, content)
  await chmod(path, mode)
  await chown(path, user.uid, user.gid)
}

test('where there is nothing, folder and file are made for the user alone', async () => {
  const file = await open()
  expect([file.path, file.way]).toEqual(['~/.ssh/authorized_keys', 'sftp'])
  expect(await file.read()).toEqual(Buffer.alloc(0))
  expect(await file.replace(Buffer.alloc(0), line)).toBe(true)
  expect(await list()).toEqual(['.ssh 700 user', '.ssh/authorized_keys 600 user'])
  expect(await file.read()).toEqual(line)
  expect(await file.examine()).toEqual([])
})

test('what is there is exchanged byte for byte, and keeps its modes; what was exchanged stays whole for its readers', async () => {
  await prepare(before, 0o644)
  await chmod(ssh(), 0o750)
  const file = await open()
  const reader = await openFile(ssh('authorized_keys'))
  expect(await file.read()).toEqual(before)
  expect(await file.replace(before, after)).toBe(true)
  expect(await readFile(ssh('authorized_keys'))).toEqual(after)
  expect(await reader.readFile()).toEqual(before)
  await reader.close()
  expect(await list()).toEqual(['.ssh 750 user', '.ssh/authorized_keys 644 user'])
})

test('a file that is not what was read is left alone, and so is one that came meanwhile', async () => {
  await prepare()
  const file = await open()
  expect(await file.replace(Buffer.from('other\n'), line)).toBe(false)
  expect(await file.replace(Buffer.alloc(0), line)).toBe(false)
  expect(await readFile(ssh('authorized_keys'))).toEqual(before)
  expect(await list()).toEqual(['.ssh 700 user', '.ssh/authorized_keys 600 user'])
})

test('links are followed: the file behind them is changed, and they stay', async () => {
  await mkdir(join(user.home, 'kept'), { mode: 0o711 })
  await chown(join(user.home, 'kept'), user.uid, user.gid)
  await symlink('kept', ssh())
  await put(join(user.home, 'kept', 'real'), before, 0o640)
  await symlink('./real', ssh('two'))
  await symlink(ssh('two'), ssh('authorized_keys'))
  const file = await open()
  expect(await file.replace(await file.read(), after)).toBe(true)
  expect(await readFile(join(user.home, 'kept', 'real'))).toEqual(after)
  expect((await stat(join(user.home, 'kept', 'real'))).mode & 0o777).toBe(0o640)
  expect((await readdir(join(user.home, 'kept'))).sort()).toEqual(['authorized_keys', 'real', 'two'])
  expect((await lstat(ssh('authorized_keys'))).isSymbolicLink()).toBe(true)
})

describe('only "there is none" is empty', () => {
  test.each([
    ['a link to nowhere', () => symlink('/nowhere/keys', ssh('authorized_keys')), /a link to a file that is not there/],
    ['a link to itself', () => symlink('authorized_keys', ssh('authorized_keys')), /leads round in a circle/],
    ['a folder', () => mkdir(ssh('authorized_keys')), /no plain file/],
    ['a file of root', () => writeFile(ssh('authorized_keys'), 'x', { mode: 0o600 }), /can't be read: no permission/],
    ['a pipe', () => runOrThrow('mkfifo', [ssh('authorized_keys')]), /no plain file/],
  ])('%s', async (_name, make, words) => {
    await mkdir(ssh(), { mode: 0o700 })
    await chown(ssh(), user.uid, user.gid)
    await make()
    const there = await list()
    const file = await open()
    await expect(file.read()).rejects.toMatchObject({ code: 'failed', message: expect.stringMatching(words) })
    await expect(file.replace(Buffer.alloc(0), line)).rejects.toMatchObject({ code: 'failed' })
    expect(await list()).toEqual(there)
  })

  test.each([
    ['.ssh is a file', () => put(ssh(), 'x'), /~\/\.ssh is no folder/],
    ['.ssh is a link to nowhere', () => symlink('/nowhere', ssh()), /~\/\.ssh is a link to nowhere/],
    ['.ssh may not be entered', () => mkdir(ssh(), { mode: 0o700 }), /no permission/],
  ])('%s', async (_name, make, words) => {
    await make()
    const there = await list()
    const file = await open()
    await expect(file.read()).rejects.toMatchObject({ code: 'failed', message: expect.stringMatching(words) })
    await expect(file.replace(Buffer.alloc(0), line)).rejects.toMatchObject({ code: 'failed' })
    expect(await list()).toEqual(there)
  })

  test('over 1 MiB: damaged, and left alone', async () => {
    await prepare(Buffer.alloc((1 << 20) + 1, '#\n'))
    const file = await open()
    await expect(file.read()).rejects.toMatchObject({ code: 'damaged', reason: expect.stringContaining('1 MiB') })
    await put(ssh('authorized_keys'), Buffer.alloc(1 << 20, '#\n'))
    expect((await file.read()).length).toBe(1 << 20)
  })
})

describe('what stands in the way is named, the old file stays, and nothing is left behind', () => {
  async function refuses(words: RegExp, there = before): Promise<void> {
    const listed = await list()
    const file = await open()
    expect(await file.read()).toEqual(there)
    await expect(file.replace(there, after)).rejects.toMatchObject({
      code: 'failed',
      message: expect.stringMatching(words),
    })
    if (there.length > 0) expect(await readFile(ssh('authorized_keys'))).toEqual(there)
    expect(await list()).toEqual(listed)
  }

  async function mount(options: string): Promise<void> {
    await mkdir(ssh(), { mode: 0o700 })
    await runOrThrow('/usr/bin/mount', ['-t', 'tmpfs', '-o', options, 'none', ssh()])
    duties.push(leaveDuty('umount -l "$1"', ssh()))
    await chown(ssh(), user.uid, user.gid)
    await put(ssh('authorized_keys'), before)
  }

  test('a folder in which one may make nothing', async () => {
    await prepare()
    await chmod(ssh(), 0o500)
    await refuses(/can't be written: no permission/)
  })

  test('a home in which one may make nothing', async () => {
    await chmod(user.home, 0o500)
    await refuses(/can't be written: no permission/, Buffer.alloc(0))
  })

  test('a disk that is mounted read-only', async () => {
    await mount('size=64k,mode=700')
    await runOrThrow('/usr/bin/mount', ['-o', 'remount,ro', ssh()])
    await refuses(/can't be written: its file system is mounted read-only/)
  })

  test('a disk that is full', async () => {
    await mount('size=16k,mode=700')
    await put(ssh('filler'), Buffer.alloc(8192))
    await writeFile(ssh('more'), Buffer.alloc(65536)).catch(() => {})
    await refuses(/can't be written: the disk is full/)
  })

  test('a disk without room for another file', async () => {
    await mount('size=64k,mode=700,nr_inodes=4')
    for (const name of ['1', '2', '3']) await writeFile(ssh(name), '').catch(() => {})
    await refuses(/can't be written: the disk has no room for another file/)
  })

  test('a file that nobody may change', async () => {
    await prepare()
    await runOrThrow('chattr', ['+i', ssh('authorized_keys')])
    duties.push(leaveDuty('chattr -i "$1"', ssh('authorized_keys')))
    await refuses(/can't be written: no permission/)
  })

  test('a file that has another name, which would stay behind', async () => {
    await prepare()
    await link(ssh('authorized_keys'), join(user.home, 'other'))
    await refuses(/has other names, which would stay behind/)
    expect((await stat(ssh('authorized_keys'))).nlink).toBe(2)
  })

  test('a file of another user, which a new one would not be', async () => {
    await prepare(before, 0o644)
    await chown(ssh('authorized_keys'), 0, 0)
    await refuses(/belongs to another user or group/)
  })
})

describe('ways into an account', () => {
  afterEach(() => writeFile(join(keysFolder, 'keys'), `${key.line}\n`))

  async function works(connected: Connection, seen = user.home): Promise<void> {
    const file = await openKeyFile(connected)
    expect(file.way).toBe('sftp')
    expect(await file.replace(Buffer.alloc(0), before)).toBe(true)
    expect(await file.replace(before, after)).toBe(true)
    expect(await readFile(join(seen, '.ssh', 'authorized_keys'))).toEqual(after)
    expect((await list(seen)).filter(text => text.startsWith('.ssh'))).toEqual([
      '.ssh 700 user',
      '.ssh/authorized_keys 600 user',
    ])
  }

  test('SFTP is found by itself where no command runs, and the key that was written lets in', async () => {
    const own = await serve(['ForceCommand internal-sftp', 'AuthorizedKeysFile .ssh/authorized_keys'])
    await works(connection)
    const file = await openKeyFile(connection)
    expect(await file.replace(after, Buffer.from(`${key.line}\n`))).toBe(true)
    await connectTo(own)
  })

  test('an account whose login shell lets nobody in', async () => {
    const sshd = await serve([])
    await setShell('/usr/sbin/nologin')
    try {
      await works(await connectTo(sshd))
    } finally {
      await setShell('/bin/sh')
    }
  })

  /** Another test may be editing passwd in this moment. */
  async function setShell(path: string): Promise<void> {
    for (let tries = 0; tries < 40; tries++) {
      if ((await run('usermod', ['--shell', path, user.name])).status === 0) return
      await sleep(250)
    }
    throw new Error('usermod does not get at passwd')
  }

  test('shut into a folder of root’s (ChrootDirectory): the home is the one in there', async () => {
    const jail = join(keysFolder, 'jail')
    const inside = join(jail, user.home)
    await mkdir(inside, { recursive: true, mode: 0o755 })
    await chown(inside, user.uid, user.gid)
    const sshd = await serve([`ChrootDirectory ${jail}`, 'ForceCommand internal-sftp'])
    await works(await connectTo(sshd), inside)
  })

  test('shut into one without a home: nothing is made in its root', async () => {
    const jail = join(keysFolder, 'empty')
    await mkdir(jail, { mode: 0o755 })
    const sshd = await serve([`ChrootDirectory ${jail}`, 'ForceCommand internal-sftp'])
    const file = await openKeyFile(await connectTo(sshd))
    expect(await file.read()).toEqual(Buffer.alloc(0))
    await expect(file.replace(Buffer.alloc(0), line)).rejects.toMatchObject({
      message: expect.stringContaining('the home folder is /, or there is none'),
    })
    expect(await readdir(jail)).toEqual([])
  })

  test.each([
    ['prints something', 'command="echo \\"hello there\\""', /it says: hello there/],
    ['gives back what it gets', 'command="cat"', /nothing answers there|it says/],
    ['is nologin', 'command="/usr/sbin/nologin"', /This account is currently not available/],
  ])('a forced command that %s: no SFTP, and why', async (_name, options, reason) => {
    await writeFile(join(keysFolder, 'keys'), `${options} ${key.line}\n`)
    const sshd = await serve([])
    await expect(openSftpKeyFile(await connectTo(sshd))).rejects.toMatchObject({
      code: 'unsupported',
      message: 'the server gives this user no SFTP',
      reason: expect.stringMatching(reason),
    })
    expect(await list()).toEqual([])
  })
})

describe('what is found of modes, beside what sshd makes of them (StrictModes)', () => {
  let strict: Sshd
  /** In the same group: Debian's sshd lets a group write that is the user's alone. */
  let neighbour: SystemUser

  afterAll(() => neighbour.dispose())
  beforeAll(async () => {
    neighbour = await createUser()
    strict = await serve(['ForceCommand internal-sftp', 'AuthorizedKeysFile .ssh/authorized_keys'])
  })

  const keys = () => ssh('authorized_keys')
  test.each<[string, string | undefined, () => Promise<unknown>]>([
    ['as they are made', undefined, async () => {}],
    ['all may read', undefined, () => chmod(ssh(), 0o755).then(() => chmod(keys(), 0o644))],
    ['the home, its group', 'writable-by-others ~', () => chmod(user.home, 0o770)],
    ['.ssh, everybody', 'writable-by-others ~/.ssh', () => chmod(ssh(), 0o702)],
    ['the file, its group', 'writable-by-others ~/.ssh/authorized_keys', () => chmod(keys(), 0o620)],
    ['a file of root', undefined, () => chmod(keys(), 0o644).then(() => chown(keys(), 0, 0))],
    ['a file of a third one', 'foreign-owner ~/.ssh/authorized_keys', () => chown(keys(), 65534, 65534)],
    ['a file that may not be read', 'unreadable ~/.ssh/authorized_keys', () => chmod(keys(), 0o200)],
    ['no file', 'missing ~/.ssh/authorized_keys', () => rm(keys())],
  ])('%s', async (_name, expected, make) => {
    await prepare(Buffer.from(`${key.line}\n`))
    await make()
    const findings = await (await open()).examine()
    expect(findings.map(({ kind, path }) => `${kind} ${path}`)).toEqual(expected === undefined ? [] : [expected])
    const login = connectTo(strict)
    if (expected === undefined) await login
    else await expect(login).rejects.toMatchObject({ code: 'secret-wrong' })
  })
})

for (const suite of newestServers()) {
  test(`${suite.name}: the same by its sftp-server`, async () => {
    const root = fileURLToPath(new URL(`../build/peers/${suite.name}/`, import.meta.url))
    const home = await mkdtemp(join(root, 'tmp/kt-'))
    const config = ['Subsystem sftp internal-sftp', `ForceCommand internal-sftp -d /${home.slice(root.length)}`]
    const server = await suite.startSshd([key.line], config)
    try {
      const file = await openKeyFile(await bench.connect({ port: server.port, user: 'root', key: key.key }))
      expect(await file.read()).toEqual(Buffer.alloc(0))
      expect(await file.replace(Buffer.alloc(0), before)).toBe(true)
      expect(await file.replace(before, after)).toBe(true)
      expect(await readFile(join(home, '.ssh', 'authorized_keys'))).toEqual(after)
      expect(await readdir(join(home, '.ssh'))).toEqual(['authorized_keys'])
    } finally {
      await server.stop()
      await rm(home, { recursive: true })
    }
  })
}

describe('several at once', () => {
  let shells: Sshd

  beforeAll(async () => {
    shells = await serve([])
  })

  /** As whoever changes the file does it. */
  async function append(text: string, way: 'shell' | 'sftp' = 'sftp'): Promise<void> {
    const file = await openKeyFile(await connectTo(way === 'sftp' ? sftpOnly : shells), { way })
    for (let tries = 0; tries < 100; tries++) {
      const there = await file.read()
      if (await file.replace(there, Buffer.concat([there, Buffer.from(text)]))) return
    }
    throw new Error('others were there first a hundred times')
  }

  test('half of them over a shell, half by SFTP: they keep out of each other’s way', async () => {
    await prepare(Buffer.from('first\n'))
    const lines = Array.from({ length: 8 }, (_, number) => `line ${number}\n`)
    await Promise.all(lines.map((text, number) => append(text, number % 2 === 0 ? 'shell' : 'sftp')))
    const there = (await readFile(ssh('authorized_keys'), 'latin1')).split(/(?<=\n)/)
    expect(there.sort()).toEqual(['first\n', ...lines])
    expect(await list()).toEqual(['.ssh 700 user', '.ssh/authorized_keys 600 user'])
  })

  test('ten writers: no line is lost, none is there twice, nothing is left behind', async () => {
    await prepare(Buffer.from('first\n'))
    const lines = Array.from({ length: 10 }, (_, number) => `line ${number}\n`)
    await Promise.all(lines.map(text => append(text)))
    const there = (await readFile(ssh('authorized_keys'), 'latin1')).split(/(?<=\n)/)
    expect(there[0]).toBe('first\n')
    expect(there.slice(1).sort()).toEqual(lines)
    expect(await list()).toEqual(['.ssh 700 user', '.ssh/authorized_keys 600 user'])
  })

  test('a lock that another holds is waited for; one that was left an hour ago is taken away, and left-overs with it', async () => {
    await prepare()
    const lock = ssh('.authorized_keys.keytool-lock')
    await put(lock, '')
    const file = await open()
    let done = false
    const changing = file.replace(before, after).then(result => {
      done = true
      return result
    })
    await sleep(300)
    expect(done).toBe(false)
    await put(ssh('.authorized_keys.keytool-new-0123456789abcdef'), 'half')
    await put(ssh('.authorized_keys.keytool-new'), 'somebody’s own')
    const old = Date.now() / 1000 - 3600
    await utimes(lock, old, old)
    expect(await changing).toBe(true)
    expect(await readFile(ssh('authorized_keys'))).toEqual(after)
    expect((await readdir(ssh())).sort()).toEqual(['authorized_keys'])
  })
})
