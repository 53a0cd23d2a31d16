import { chown, lstat, mkdir, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { jest } from '@jest/globals'
import type { Connection } from '@keytool/tunnel'
import { openSftpKeyFile } from '../packages/tunnel/src/servers/sftp-key-file.js'
import { Bench, makeKey } from './tunnel-forwards-fixture.js'
import { startDropbear } from './world/dropbear.js'
import { homeless } from './world/home.js'
import { findPeer, type PeerName, peerPath } from './world/peers.js'
import { type Running, start } from './world/start.js'
import { createUser, type SystemUser } from './world/system-user.js'

// authorized_keys by SFTP at servers that are not OpenSSH's.

jest.setTimeout(90_000)

const before = Buffer.from('# kept by hand\r\nssh-ed25519 AAAA one\n\n  from="a b" ssh-rsa BBBB two', 'latin1')
const after = Buffer.concat([before, Buffer.from('\nssh-ed25519 CCCC new\n')])

let bench: Bench
let user: SystemUser
let key: Awaited<ReturnType<typeof makeKey>>
const running: { stop(): Promise<unknown> }[] = []

beforeAll(async () => {
  bench = await Bench.open()
  user = await createUser()
  key = await makeKey()
})

afterAll(async () => {
  await bench.close()
  for (const server of running) await server.stop()
  await user.dispose()
})

/** Python's libraries serve the folder in which they are started, as root. */
async function servePython(peer: PeerName, home: string): Promise<Connection> {
  await findPeer(peer)
  await mkdir(home, { mode: 0o700 })
  const script = fileURLToPath(new URL(`world/python/${peer}_sftp_server.py`, import.meta.url))
  const server: Running = await start(peerPath(peer), ['-B', script], { cwd: home, env: homeless })
  running.push(server)
  const [port] = await server.stdout.waitFor(/^\d+$/m, 40_000)
  return bench.connect({ port: Number(port), user: 'hana', key: key.key })
}

async function serveDropbear(): Promise<Connection> {
  const dropbear = await startDropbear()
  running.push(dropbear)
  await user.authorize(key.line)
  return bench.connect({ port: dropbear.port, user: user.name, key: key.key })
}

describe.each([
  ['asyncssh', () => join(bench.path, 'asyncssh'), () => servePython('asyncssh', join(bench.path, 'asyncssh'))],
  // It can't exchange files in one go.
  ['paramiko', () => join(bench.path, 'paramiko'), () => servePython('paramiko', join(bench.path, 'paramiko'))],
  ['dropbear, with OpenSSH’s sftp-server', () => user.home, serveDropbear],
])('%s', (_name, home, serve) => {
  let connection: Connection
  const ssh = (name = '') => join(home(), '.ssh', name)

  beforeAll(async () => {
    connection = await serve()
  })

  beforeEach(() => rm(ssh(), { recursive: true, force: true }))

  const own = async (...paths: string[]) => {
    const { uid, gid } = await stat(home())
    for (const path of paths) await chown(path, uid, gid)
  }

  async function prepare(content: Buffer): Promise<void> {
    await mkdir(ssh(), { mode: 0o700 })
    await writeFile(ssh('authorized_keys'), content, { mode: 0o640 })
    await own(ssh(), ssh('authorized_keys'))
  }

  test('a file that is made, and one that is exchanged byte for byte', async () => {
    const file = await openSftpKeyFile(connection)
    expect(await file.read()).toEqual(Buffer.alloc(0))
    expect(await file.replace(Buffer.alloc(0), before)).toBe(true)
    expect(await readFile(ssh('authorized_keys'))).toEqual(before)
    expect((await stat(ssh())).mode & 0o777).toBe(0o700)
    expect((await stat(ssh('authorized_keys'))).mode & 0o777).toBe(0o600)
    expect(await file.replace(before, after)).toBe(true)
    expect(await readFile(ssh('authorized_keys'))).toEqual(after)
    expect(await readdir(ssh())).toEqual(['authorized_keys'])
    expect(await file.replace(before, after)).toBe(false)
    expect(await file.examine()).toEqual([])
  })

  test('mode and link of what is there stay', async () => {
    await prepare(before)
    await mkdir(ssh('kept'))
    await writeFile(ssh('kept/real'), before, { mode: 0o640 })
    await rm(ssh('authorized_keys'))
    await symlink('kept/real', ssh('authorized_keys'))
    await own(ssh('kept'), ssh('kept/real'))
    const file = await openSftpKeyFile(connection)
    expect(await file.replace(await file.read(), after)).toBe(true)
    expect(await readFile(ssh('kept/real'))).toEqual(after)
    expect((await lstat(ssh('authorized_keys'))).isSymbolicLink()).toBe(true)
    expect((await stat(ssh('kept/real'))).mode & 0o777).toBe(0o640)
    expect((await readdir(ssh())).sort()).toEqual(['authorized_keys', 'kept'])
    expect(await readdir(ssh('kept'))).toEqual(['real'])
  })

  test('five writers at once: no line is lost, nothing is left behind', async () => {
    await prepare(Buffer.from('first\n'))
    const lines = Array.from({ length: 5 }, (_, number) => `line ${number}\n`)
    const append = async (line: string) => {
      const file = await openSftpKeyFile(connection)
      for (let tries = 0; tries < 50; tries++) {
        const there = await file.read()
        if (await file.replace(there, Buffer.concat([there, Buffer.from(line)]))) return
      }
      throw new Error('others were there first fifty times')
    }
    await Promise.all(lines.map(append))
    const there = (await readFile(ssh('authorized_keys'), 'latin1')).split(/(?<=\n)/)
    expect(there.sort()).toEqual(['first\n', ...lines])
    expect(await readdir(ssh())).toEqual(['authorized_keys'])
  })

  test('a link to nowhere is no empty file', async () => {
    await prepare(before)
    await rm(ssh('authorized_keys'))
    await symlink('nowhere', ssh('authorized_keys'))
    const file = await openSftpKeyFile(connection)
    await expect(file.read()).rejects.toMatchObject({
      message: expect.stringContaining('a link to a file that is not'),
    })
    await expect(file.replace(Buffer.alloc(0), after)).rejects.toMatchObject({ code: 'failed' })
    expect(await readdir(ssh())).toEqual(['authorized_keys'])
  })
})
