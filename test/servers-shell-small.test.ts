import { lstat, mkdir, readdir, readFile, readlink, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { jest } from '@jest/globals'
import { generate, type PrivateKey } from '@keytool/keygen'
import {
  type Connection,
  connect,
  formatAuthorizedKey,
  installPublicKey,
  openKeyFile,
  removePublicKey,
  verifyKeyAlone,
} from '@keytool/tunnel'
import { facts, openShellWorld, type ShellWorld } from './servers-shell-world.js'
import { startDropbear } from './world/dropbear.js'
import { temporaryFolder } from './world/folder.js'
import { runOrThrow } from './world/run.js'
import { startSshd } from './world/sshd.js'

// Servers that have less than Debian's, or more: busybox alone, Dropbear, OpenWrt's places, SELinux's programs.

jest.setTimeout(120_000)

let world: ShellWorld
let key: PrivateKey
let line: string

beforeAll(async () => {
  world = await openShellWorld()
  key = await generate('ed25519', { comment: 'mine' })
  line = `${formatAuthorizedKey(key.publicKey)}\n`
})

afterAll(() => world.close())

/** Another server for the same account, whose programs are all in this folder. */
async function withPrograms<T>(folder: string, work: (connection: Connection) => Promise<T>): Promise<T> {
  const sshd = await startSshd({
    users: [world.user],
    config: [`SetEnv PATH=${folder}`],
    hostKeyFiles: world.sshd.hostKeyFiles,
  })
  await writeFile(join(world.home.ssh, 'known_hosts'), world.sshd.knownHosts + sshd.knownHosts)
  try {
    const connection = await connect(
      world.login({ port: sshd.port, signers: [], askPassword: async () => world.user.password }),
    )
    try {
      return await work(connection)
    } finally {
      await connection.close()
    }
  } finally {
    await sshd.stop()
  }
}

/** A folder with these programs and no others. */
async function makePrograms(folder: string, which: 'busybox' | 'POSIX'): Promise<void> {
  await runOrThrow('/usr/bin/chmod', ['755', folder])
  if (which === 'busybox') await runOrThrow('/usr/bin/busybox', ['--install', '-s', folder])
  else for (const name of posix) await symlink(`/usr/bin/${name}`, join(folder, name))
}

const posix = 'sh cat chmod cksum cp dd id ln ls mkdir mv rm rmdir wc readlink'.split(' ')

describe('few programs', () => {
  test.each([
    ['all that busybox has', 'busybox', []],
    ['busybox without find, sleep, dd, id', 'busybox', ['find', 'sleep', 'dd', 'id']],
    ['no sha256sum, no find, no short sleep', 'POSIX', []],
  ] as const)('%s: a link, a line without newline, all of it', async (_what, which, missing) => {
    const programs = await temporaryFolder()
    await makePrograms(programs.path, which)
    for (const name of missing) await rm(join(programs.path, name))
    try {
      await withPrograms(programs.path, async connection => {
        await world.begin('# mine\r\n# last')
        const { user } = world
        const target = join(user.home, '.ssh', 'target')
        await rename(user.authorizedKeysFile, target)
        await symlink('target', user.authorizedKeysFile)
        const file = await openKeyFile(connection)
        expect(file.way).toBe('shell')
        expect(await installPublicKey(file, key.publicKey)).toMatchObject({ state: 'added', line: 3 })
        expect(await readFile(target, 'utf8')).toBe(`# mine\r\n# last\r\n${line.trimEnd()}\r\n`)
        expect(await readlink(user.authorizedKeysFile)).toBe('target')
        expect(await facts(target)).toEqual(['600', user.uid, user.gid, 1])
        expect(await verifyKeyAlone(world.login(), key)).toMatchObject({ admittedBy: { line: 3 } })
        expect(await file.replace(Buffer.from('# other\n'), Buffer.from('# no\n'))).toBe(false)
        if (!missing.some(name => name === 'id')) expect(await file.examine()).toEqual([])
        expect(await removePublicKey(file, key.publicKey)).toMatchObject({ state: 'removed' })
        expect(await world.leftovers()).toEqual(['.ssh/target'])
        await world.begin()
        const fresh = await openKeyFile(connection)
        expect(await installPublicKey(fresh, key.publicKey)).toMatchObject({ state: 'added', line: 1 })
        expect((await world.content()).toString()).toBe(line)
        expect(await facts(user.authorizedKeysFile)).toEqual(['600', user.uid, user.gid, 1])
        expect(await world.leftovers()).toEqual([])
      })
    } finally {
      await programs.dispose()
    }
  })

  test('nothing to compare with: told, and nothing changed', async () => {
    const programs = await temporaryFolder()
    await makePrograms(programs.path, 'POSIX')
    await rm(join(programs.path, 'cksum'))
    try {
      await withPrograms(programs.path, async connection => {
        await world.begin('# mine\n')
        const file = await openKeyFile(connection)
        await expect(installPublicKey(file, key.publicKey)).rejects.toMatchObject({ code: 'unsupported' })
        expect((await world.content()).toString()).toBe('# mine\n')
        expect(await world.leftovers()).toEqual([])
      })
    } finally {
      await programs.dispose()
    }
  })
})

test('SELinux: the new file gets the old one’s label before it takes its place, and the rules’ one afterwards', async () => {
  await world.begin('# mine\n')
  const programs = await temporaryFolder()
  await runOrThrow('/usr/bin/chmod', ['755', programs.path])
  const log = join(world.user.home, 'log')
  for (const name of ['chcon', 'restorecon']) {
    const script = `#!/bin/sh\nexport PATH=/usr/bin:/bin\necho ${name} "$@" "$(cat "$2")" >> ${log}\n`
    await writeFile(join(programs.path, name), script, { mode: 0o755 })
  }
  try {
    await withPrograms(`${programs.path}:/usr/bin:/bin`, async connection => {
      expect(await installPublicKey(await openKeyFile(connection), key.publicKey)).toMatchObject({ state: 'added' })
    })
    const file = '.ssh/authorized_keys'
    const [labelled, restored] = (await readFile(log, 'utf8')).split(/(?=^restorecon)/m)
    expect(labelled).toMatch(
      /^chcon --reference=\.ssh\/authorized_keys \.ssh\/\.authorized_keys\.keytool-new-[0-9a-f]+ # mine\n$/,
    )
    expect(restored).toBe(`restorecon .ssh ${file} # mine\n${line}`)
  } finally {
    await programs.dispose()
  }
})

describe('Dropbear', () => {
  test('a user’s keys lie where OpenSSH has them', async () => {
    await world.begin(line)
    const fresh = await generate('ed25519', { comment: 'fresh' })
    const dropbear = await startDropbear()
    const login = { port: dropbear.port, hosts: { ...world.login().hosts, confirmHost: async () => true } }
    const connection = await connect(world.login({ ...login, signers: [key] }))
    try {
      expect(connection.software).toMatch(/^dropbear_/)
      const file = await openKeyFile(connection)
      expect(await installPublicKey(file, fresh.publicKey)).toEqual({
        state: 'added',
        path: '~/.ssh/authorized_keys',
        line: 2,
      })
      // It does not say which line it was.
      expect(await verifyKeyAlone(world.login(login), fresh)).toEqual({})
      expect(await removePublicKey(file, key.publicKey)).toMatchObject({ state: 'removed', lines: [1] })
      await expect(verifyKeyAlone(world.login(login), key)).rejects.toMatchObject({ code: 'secret-wrong' })
    } finally {
      await connection.close()
      await dropbear.stop()
    }
    expect((await world.content()).toString()).toBe(`${formatAuthorizedKey(fresh.publicKey)}\n`)
  })

  test('root’s on OpenWrt lie in /etc/dropbear', async () => {
    const folder = await temporaryFolder()
    // Its own view of /etc and /root, for this server alone.
    const [upper, work, root] = ['upper', 'work', 'root'].map(name => join(folder.path, name))
    if (!upper || !work || !root) throw new Error('no folder')
    await mkdir(join(upper, 'dropbear'), { recursive: true })
    await mkdir(work)
    await mkdir(join(root, '.ssh'), { recursive: true, mode: 0o700 })
    await writeFile(join(root, '.ssh', 'authorized_keys'), line, { mode: 0o600 })
    await writeFile(join(upper, 'openwrt_release'), 'DISTRIB_ID="OpenWrt"\n')
    const script =
      'mount -t overlay overlay -o "lowerdir=/etc,upperdir=$1,workdir=$2" /etc && mount --bind "$3" /root && shift 3 && exec "$@"'
    const dropbear = await startDropbear(
      [],
      ['/usr/bin/unshare', '-m', '/bin/sh', '-c', script, 'sh', upper, work, root],
    )
    const login = {
      port: dropbear.port,
      user: 'root',
      hosts: { ...world.login().hosts, confirmHost: async () => true },
    }
    const connection = await connect(world.login({ ...login, signers: [key] }))
    try {
      const file = await openKeyFile(connection)
      const path = '/etc/dropbear/authorized_keys'
      expect(await installPublicKey(file, key.publicKey)).toEqual({ state: 'added', path, line: 1 })
      expect(await readFile(join(upper, 'dropbear', 'authorized_keys'), 'utf8')).toBe(line)
      expect((await lstat(join(upper, 'dropbear', 'authorized_keys'))).mode & 0o777).toBe(0o600)
      expect(await readdir(join(upper, 'dropbear'))).toEqual(['authorized_keys'])
      expect(await readFile(join(root, '.ssh', 'authorized_keys'), 'utf8')).toBe(line)
    } finally {
      await connection.close()
      await dropbear.stop()
      await folder.dispose()
    }
  })
})
