import { chown, mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { jest } from '@jest/globals'
import { generate, type PrivateKey } from '@keytool/keygen'
import {
  connect,
  formatAuthorizedKey,
  installPublicKey,
  type KeyFile,
  openKeyFile,
  removePublicKey,
} from '@keytool/tunnel'
import { openShellWorld, type ShellWorld } from './servers-shell-world.js'
import { run, runOrThrow } from './world/run.js'
import { startSshd } from './world/sshd.js'

// Accounts as they come: any login shell, whatever its start files say, and those without a shell.

jest.setTimeout(120_000)

let world: ShellWorld
let key: PrivateKey
let line: string

beforeAll(async () => {
  world = await openShellWorld()
  key = await generate('ed25519', { comment: "o'brien's \\$(key) `x` !!" })
  line = `${formatAuthorizedKey(key.publicKey)}\n`
})

afterAll(() => world.close())

/** usermod gives up at once while another program has passwd open. */
async function setShell(shell: string): Promise<void> {
  for (let tries = 0; tries < 40; tries++) {
    if ((await run('/usr/sbin/usermod', ['--shell', shell, world.user.name])).status === 0) return
    await sleep(250)
  }
  await runOrThrow('/usr/sbin/usermod', ['--shell', shell, world.user.name])
}

/** A file of the account's, with the folders it needs. */
async function write(name: string, text: string): Promise<void> {
  const { home, uid, gid } = world.user
  await mkdir(dirname(join(home, name)), { recursive: true })
  await writeFile(join(home, name), text)
  await runOrThrow('/usr/bin/chown', ['-R', `${uid}:${gid}`, home])
  await chown(home, uid, gid)
}

async function visit<T>(work: (file: KeyFile) => Promise<T>): Promise<T> {
  const connection = await world.enter()
  try {
    return await work(await openKeyFile(connection))
  } finally {
    await connection.close()
  }
}

/** Adds, looks, removes: all of it by this way. */
async function expectAllWorks(way: KeyFile['way']): Promise<void> {
  await visit(async file => {
    expect([file.path, file.way]).toEqual(['~/.ssh/authorized_keys', way])
    expect(await installPublicKey(file, key.publicKey)).toMatchObject({ state: 'added', line: 2 })
    expect((await world.content()).toString()).toBe(`# mine\n${line}`)
    expect(await installPublicKey(file, key.publicKey)).toMatchObject({ state: 'present', line: 2 })
    expect(await file.examine()).toEqual([])
    expect(await removePublicKey(file, key.publicKey)).toMatchObject({ state: 'removed', lines: [2] })
    expect((await world.content()).toString()).toBe('# mine\n')
  })
}

/** Both outputs, a last line without end, and what looks like an answer of ours. */
const noise = 'echo "welcome; keytool-0 begin"; echo "file x"; echo careful >&2; printf "no newline"'

const shells: readonly (readonly [shell: string, rc: string])[] = [
  ['/bin/sh', '.ssh/rc'],
  ['/bin/bash', '.bashrc'],
  ['/bin/dash', '.ssh/rc'],
  ['/usr/bin/zsh', '.zshenv'],
  ['/bin/csh', '.cshrc'],
  ['/usr/bin/tcsh', '.tcshrc'],
  ['/usr/bin/fish', '.config/fish/config.fish'],
]

test.each(shells)('%s, with noise from its start file', async (shell, rc) => {
  await setShell(shell)
  await world.begin('# mine\n')
  // csh can't send one output only elsewhere.
  await write(rc, `${shell.endsWith('csh') ? noise.replace(' >&2', '') : noise}\n`)
  await expectAllWorks('shell')
})

describe('a start file that ends the shell leaves SFTP', () => {
  test.each([
    ['/bin/bash', '.bashrc', 'exit 0'],
    ['/usr/bin/zsh', '.zshenv', 'echo bye; exit 3'],
    ['/usr/bin/tcsh', '.tcshrc', 'exec /bin/cat'],
    ['/usr/bin/fish', '.config/fish/config.fish', 'exec /bin/echo this is a menu'],
  ])('%s %s: %s', async (shell, rc, text) => {
    await setShell(shell)
    await world.begin('# mine\n')
    await write(rc, `${text}\n`)
    await expectAllWorks('sftp')
  })
})

test.each(['/usr/sbin/nologin', '/bin/false', '/nonexistent/shell'])('an account with %s', async shell => {
  await setShell('/bin/sh')
  await world.begin('# mine\n')
  await setShell(shell)
  // sshd itself lets nobody in whose shell is missing.
  if (shell === '/nonexistent/shell') await expect(world.enter()).rejects.toMatchObject({ code: 'secret-wrong' })
  else await expectAllWorks('sftp')
  await setShell('/bin/sh')
})

describe('a forced command', () => {
  async function under<T>(command: string, work: (open: () => Promise<KeyFile>) => Promise<T>): Promise<T> {
    const sshd = await startSshd({
      users: [world.user],
      config: [`ForceCommand ${command}`],
      hostKeyFiles: world.sshd.hostKeyFiles,
    })
    await writeFile(join(world.home.ssh, 'known_hosts'), sshd.knownHosts)
    const connection = await connect(
      world.login({ port: sshd.port, signers: [], askPassword: async () => world.user.password }),
    )
    try {
      return await work(() => openKeyFile(connection))
    } finally {
      await connection.close()
      await sshd.stop()
      await writeFile(join(world.home.ssh, 'known_hosts'), world.sshd.knownHosts)
    }
  }

  test('that is SFTP leads to SFTP', async () => {
    await world.begin('# mine\n')
    await under('internal-sftp', async open => {
      const file = await open()
      expect(file.way).toBe('sftp')
      expect(await installPublicKey(file, key.publicKey)).toMatchObject({ state: 'added' })
    })
    expect((await world.content()).toString()).toBe(`# mine\n${line}`)
  })

  test.each(['/bin/echo "only mail here \\033[2J"', '/bin/cat', '/bin/true', '/usr/bin/yes'])(
    'that is anything else is told, and nothing changed: %s',
    async command => {
      await world.begin('# mine\n')
      const error = await under(command, open => open().catch((caught: unknown) => caught))
      expect(error).toMatchObject({ name: 'KeytoolError', code: expect.stringMatching(/^(?:unsupported|damaged)$/) })
      expect(JSON.stringify(error)).not.toContain('\\u001b')
      expect((await world.content()).toString()).toBe('# mine\n')
    },
  )
})
