import {
  chmod,
  chown,
  link,
  lstat,
  mkdir,
  readdir,
  readFile,
  readlink,
  rename,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises'
import { join } from 'node:path'
import { jest } from '@jest/globals'
import { generate, isKeytoolError, type KeytoolError, type PrivateKey } from '@keytool/keygen'
import { formatAuthorizedKey, installPublicKey, openKeyFile, removePublicKey, verifyKeyAlone } from '@keytool/tunnel'
import { facts, openShellWorld, type ShellWorld } from './servers-shell-world.js'
import { leaveDuty } from './world/duty.js'
import { runOrThrow } from './world/run.js'

// The user's authorized_keys over a shell of a real sshd: the bytes before and after, and all that must stay besides.

jest.setTimeout(120_000)

const path = '~/.ssh/authorized_keys'

let world: ShellWorld
let key: PrivateKey
let line: string

beforeAll(async () => {
  world = await openShellWorld()
  key = await generate('ed25519', { comment: "o'brien's $(key) `x`" })
  line = `${formatAuthorizedKey(key.publicKey)}\n`
})

afterAll(() => world.close())

const ssh = () => join(world.user.home, '.ssh')
const file = () => openKeyFile(world.connection)
const install = async () => installPublicKey(await file(), key.publicKey)
const remove = async () => removePublicKey(await file(), key.publicKey)

/** Does it with a mount in place, which goes with this process at the latest. */
async function whileMounted<T>(args: readonly string[], at: string, work: () => Promise<T>): Promise<T> {
  const duty = leaveDuty('umount -l "$1"', at)
  try {
    await runOrThrow('/usr/bin/mount', [...args, at])
    return await work()
  } finally {
    await duty.perform()
  }
}

/** Tries to install, and looks whether all is as before. */
async function expectLeft(work: () => Promise<unknown> = install): Promise<KeytoolError> {
  const before = await world.content()
  const listed = await world.leftovers()
  const error = await work().catch((caught: unknown) => caught)
  if (!isKeytoolError(error)) throw error
  expect(error.code).toBe('failed')
  expect(await world.content()).toEqual(before)
  expect(await world.leftovers()).toEqual(listed)
  return error
}

describe('what is written', () => {
  test('the folder and the file are made for the user alone, and the server names the line that lets the key in', async () => {
    await world.begin()
    expect(await install()).toEqual({ state: 'added', path, line: 1 })
    expect(await install()).toEqual({ state: 'present', path, line: 1 })
    expect((await world.content()).toString()).toBe(line)
    const { uid, gid, authorizedKeysFile } = world.user
    expect(await facts(authorizedKeysFile)).toEqual(['600', uid, gid, 1])
    expect((await facts(ssh())).slice(0, 3)).toEqual(['700', uid, gid])
    expect(await world.leftovers()).toEqual([])
    expect(await verifyKeyAlone(world.login(), key)).toEqual({ admittedBy: { path: authorizedKeysFile, line: 1 } })
    expect(await remove()).toEqual({ state: 'removed', path, lines: [1] })
    expect(await world.content()).toEqual(Buffer.alloc(0))
    await expect(verifyKeyAlone(world.login(), key)).rejects.toMatchObject({ code: 'secret-wrong' })
  })

  test('--dry-run makes nothing at all', async () => {
    await world.begin()
    expect(await installPublicKey(await file(), key.publicKey, { dryRun: true })).toEqual({ state: 'would-add', path })
    expect(await readdir(world.user.home)).toEqual([])
  })

  test.each([
    ['an empty file', '', ''],
    ['a last line without newline', '# mine', '\n'],
    ['CR LF, which the new line keeps', '# mine\r\n\r\n', ''],
    ['bytes that are no UTF-8', Buffer.from('# caf\xe9 \x01\x7f\xff\n', 'latin1'), ''],
    ['a form feed, tabs and blanks at the ends', ' \t# a \t \f\n \t\n', ''],
    ['a line longer than pipes and buffers', `# ${'x'.repeat(200_000)}\n`, ''],
    ['a file of nearly a mebibyte', '# 23456789\n'.repeat(94_000), ''],
  ])('%s stays byte for byte, added and removed', async (_what, before, missing) => {
    await world.begin(before)
    const kept = Buffer.concat([Buffer.from(before), Buffer.from(missing)])
    expect(await install()).toMatchObject({ state: 'added' })
    const ending = String(before).endsWith('\r\n') ? line.replace('\n', '\r\n') : line
    expect((await world.content()).equals(Buffer.concat([kept, Buffer.from(ending)]))).toBe(true)
    expect(await verifyKeyAlone(world.login(), key)).toMatchObject({
      admittedBy: { path: world.user.authorizedKeysFile },
    })
    expect(await remove()).toMatchObject({ state: 'removed' })
    expect((await world.content()).equals(kept)).toBe(true)
    expect(await world.leftovers()).toEqual([])
  })

  test.each([
    ['UTF-16', Buffer.from('\ufeff# mine\r\n', 'utf16le')],
    ['NUL bytes', Buffer.from('# mine\0\n')],
    ['over a mebibyte', Buffer.from('# 23456789\n'.repeat(96_000))],
  ])('%s is left as it is', async (_what, before) => {
    await world.begin(before)
    for (const work of [install, remove]) await expect(work()).rejects.toMatchObject({ code: 'damaged' })
    expect((await world.content()).equals(before)).toBe(true)
    expect(await world.leftovers()).toEqual([])
  })

  test('behind a byte order mark sshd heeds no key: the key goes into a line of its own', async () => {
    await world.begin(`\ufeff${line}`)
    await expect(verifyKeyAlone(world.login(), key)).rejects.toMatchObject({ code: 'secret-wrong' })
    expect(await install()).toMatchObject({ state: 'added', line: 2, note: expect.stringContaining('byte order mark') })
    expect(await verifyKeyAlone(world.login(), key)).toMatchObject({ admittedBy: { line: 2 } })
    expect(await remove()).toMatchObject({ state: 'removed', lines: [2] })
    expect((await world.content()).toString()).toBe(`\ufeff${line}`)
  })
})

describe('links', () => {
  test('a link stays a link, and the file it leads to is the one that changes', async () => {
    await world.begin('# mine\n')
    const far = join(world.user.home, 'far')
    await mkdir(join(far, 'deep'), { recursive: true })
    for (const folder of [far, join(far, 'deep')]) await chown(folder, world.user.uid, world.user.gid)
    const target = join(far, 'deep', 'my keys')
    await rename(world.user.authorizedKeysFile, target)
    await symlink('../far/second', world.user.authorizedKeysFile)
    await symlink('deep/my keys', join(far, 'second'))
    const there = await world.leftovers()
    expect(await install()).toMatchObject({ state: 'added', line: 2 })
    expect(await readFile(target, 'utf8')).toBe(`# mine\n${line}`)
    expect(await readlink(world.user.authorizedKeysFile)).toBe('../far/second')
    expect(await readlink(join(far, 'second'))).toBe('deep/my keys')
    expect(await facts(target)).toEqual(['600', world.user.uid, world.user.gid, 1])
    expect(await world.leftovers()).toEqual(there)
  })

  test('.ssh may be one, too', async () => {
    await world.begin('# mine\n')
    await rename(ssh(), join(world.user.home, 'dot-ssh'))
    await symlink('dot-ssh', ssh())
    expect(await install()).toMatchObject({ state: 'added', line: 2 })
    expect((await lstat(ssh())).isSymbolicLink()).toBe(true)
    expect((await world.content()).toString()).toBe(`# mine\n${line}`)
    expect((await readdir(join(world.user.home, 'dot-ssh'))).sort()).toEqual(['authorized_keys'])
  })

  test('one that leads nowhere, or in a circle, is told', async () => {
    await world.begin('')
    for (const target of ['nowhere', 'authorized_keys']) {
      await rm(world.user.authorizedKeysFile)
      await symlink(target, world.user.authorizedKeysFile)
      await expect(install()).rejects.toMatchObject({ message: expect.stringContaining('leads nowhere') })
      expect(await readlink(world.user.authorizedKeysFile)).toBe(target)
    }
    expect(await world.leftovers()).toEqual([])
  })

  test('a file of several names would be parted from the others: told, and left', async () => {
    await world.begin('# mine\n')
    await link(world.user.authorizedKeysFile, join(world.user.home, 'second'))
    expect(await expectLeft()).toMatchObject({ message: expect.stringContaining('other names') })
  })

  test.each(['folder', 'pipe'])('a %s of that name is no file, and keeps nobody waiting', async kind => {
    await world.begin('')
    await rm(world.user.authorizedKeysFile)
    if (kind === 'folder') await mkdir(world.user.authorizedKeysFile)
    else await runOrThrow('/usr/bin/mkfifo', [world.user.authorizedKeysFile])
    await expect(install()).rejects.toMatchObject({ message: expect.stringContaining('is no file') })
  })
})

describe('what belongs to the file', () => {
  test('its mode and group, access list and attributes stay', async () => {
    await world.begin('# mine\n')
    const { authorizedKeysFile, uid } = world.user
    await chmod(authorizedKeysFile, 0o400)
    await runOrThrow('/usr/bin/setfacl', ['-m', 'u:games:r', authorizedKeysFile])
    await runOrThrow('/usr/bin/setfattr', ['-n', 'user.kept', '-v', 'as it is', authorizedKeysFile])
    const list = async () =>
      (await runOrThrow('/usr/bin/getfacl', ['-p', authorizedKeysFile])).stdout +
      (await runOrThrow('/usr/bin/getfattr', ['--absolute-names', '-d', authorizedKeysFile])).stdout
    const before = await list()
    expect(before).toMatch(/user:games:r--[\s\S]*user\.kept="as it is"/)
    expect(await install()).toMatchObject({ state: 'added' })
    expect(await list()).toBe(before)
    expect((await stat(authorizedKeysFile)).uid).toBe(uid)
    expect((await world.content()).toString()).toBe(`# mine\n${line}`)
  })

  test('an owner that could not be kept is told, and stays', async () => {
    await world.begin('# mine\n')
    await chown(world.user.authorizedKeysFile, 0, 0)
    await chmod(world.user.authorizedKeysFile, 0o644)
    expect(await expectLeft()).toMatchObject({ message: expect.stringContaining('another user') })
    expect(await facts(world.user.authorizedKeysFile)).toEqual(['644', 0, 0, 1])
  })

  test.each(['600', '644'])('a group it could not keep is lost where that changes nothing: mode %s', async mode => {
    await world.begin('# mine\n')
    const { authorizedKeysFile, uid, gid } = world.user
    await chown(authorizedKeysFile, uid, 0)
    await chmod(authorizedKeysFile, Number.parseInt(mode, 8))
    expect(await install()).toMatchObject({ state: 'added' })
    expect(await facts(authorizedKeysFile)).toEqual([mode, uid, gid, 1])
  })

  test('a group that may do more than everybody is never swapped for another', async () => {
    await world.begin('# mine\n')
    const { authorizedKeysFile, uid } = world.user
    await chown(authorizedKeysFile, uid, 0)
    await chmod(authorizedKeysFile, 0o640)
    expect(await expectLeft()).toMatchObject({ message: expect.stringContaining('another user or group') })
    expect(await facts(authorizedKeysFile)).toEqual(['640', uid, 0, 1])
  })
})

describe('what is in the way leaves the old file, and nothing else', () => {
  test('a file that can’t be read is not an empty one', async () => {
    await world.begin('# mine\n')
    await chmod(world.user.authorizedKeysFile, 0o000)
    expect(await expectLeft()).toMatchObject({ message: expect.stringContaining("can't be read") })
    await chmod(world.user.authorizedKeysFile, 0o600)
    await chmod(ssh(), 0o000)
    expect(await expectLeft()).toMatchObject({ message: expect.stringContaining("can't be read") })
    await chmod(ssh(), 0o700)
  })

  test('a folder that is not the user’s', async () => {
    await world.begin('# mine\n')
    await chown(ssh(), 0, 0)
    await chmod(ssh(), 0o755)
    expect((await expectLeft()).reason).toBe('no permission; nothing was changed')
  })

  test('a home that is read-only', async () => {
    await world.begin('# mine\n')
    await whileMounted(['--bind', '-o', 'ro', world.user.home], world.user.home, async () => {
      expect((await expectLeft()).reason).toBe('its file system is read-only; nothing was changed')
    })
    await world.begin()
    await whileMounted(['--bind', '-o', 'ro', world.user.home], world.user.home, async () => {
      await expect(install()).rejects.toMatchObject({ reason: 'its file system is read-only; nothing was changed' })
    })
    expect(await readdir(world.user.home)).toEqual([])
  })

  test.each([
    ['file', () => world.user.authorizedKeysFile],
    ['folder', ssh],
  ])('an immutable %s', async (_what, what) => {
    await world.begin('# mine\n')
    await runOrThrow('/usr/bin/chattr', ['+i', what()])
    try {
      expect((await expectLeft()).reason).toMatch(/^it is kept from changes/)
      expect(
        (await expectLeft(async () => (await file()).replace(Buffer.from('# mine\n'), Buffer.alloc(0)))).reason,
      ).toMatch(/^it is kept from changes/)
    } finally {
      await runOrThrow('/usr/bin/chattr', ['-i', what()])
    }
  })

  test('a full disk', async () => {
    await world.begin()
    await mkdir(ssh())
    const { uid, gid } = world.user
    const options = `size=24k,mode=700,uid=${uid},gid=${gid}`
    await whileMounted(['-t', 'tmpfs', '-o', options, 'none'], ssh(), async () => {
      const before = '# 2345678 10\n'.repeat(850)
      await writeFile(world.user.authorizedKeysFile, before)
      await chown(world.user.authorizedKeysFile, uid, gid)
      expect((await expectLeft()).reason).toBe('the disk is full; nothing was changed')
      expect(await world.leftovers()).toEqual([])
      // Not even the lock has room.
      await writeFile(join(ssh(), 'big'), 'x'.repeat(16_000)).catch(() => {})
      expect((await expectLeft()).reason).toBe('the disk is full; nothing was changed')
    })
  })

  test('a file mounted by itself, as containers have it', async () => {
    await world.begin('# mine\n')
    await whileMounted(['--bind', world.user.authorizedKeysFile], world.user.authorizedKeysFile, async () => {
      expect((await expectLeft()).reason).toMatch(/^it is mounted there by itself/)
    })
  })
})
