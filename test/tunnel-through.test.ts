import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { jest } from '@jest/globals'
import { generate, type PrivateKey } from '@keytool/keygen'
import { type Connection, type ConnectOptions, connect, KnownHosts } from '@keytool/tunnel'
import { type Echo, startEcho } from './tunnel-echo.js'
import { type Home, temporaryHome } from './world/home.js'
import { type Sshd, startSshd } from './world/sshd.js'
import { createUser, type SystemUser } from './world/system-user.js'

// Connections through others: what carries them is no socket.

jest.setTimeout(120_000)

const MiB = 1024 * 1024

let home: Home
let user: SystemUser
let sshd: Sshd
let key: PrivateKey
let echo: Echo

beforeAll(async () => {
  home = await temporaryHome()
  user = await createUser()
  key = await generate('ed25519')
  const line = `${key.publicKey.algorithm.name} ${key.publicKey.blob.toString('base64')}`
  sshd = await startSshd({ users: [user], authorizedKeys: [line], config: ['RekeyLimit 16M'] })
  await writeFile(join(home.ssh, 'known_hosts'), sshd.knownHosts)
  echo = await startEcho()
})

afterAll(async () => {
  echo?.close()
  await sshd?.stop()
  await user?.dispose()
  await home?.dispose()
})

/** Logs in, through another connection if there is one. */
function visit(through?: Connection, more: Partial<ConnectOptions> = {}): Promise<Connection> {
  const knownHosts = new KnownHosts({ home: home.path, files: [join(home.ssh, 'known_hosts')], systemFiles: [] })
  const { host, port } = sshd
  const dial: ConnectOptions['dial'] = there => {
    if (!through) throw new Error('there is nothing to go through')
    return through.openDirect(there.host, there.port, { host: '127.0.0.1', port: 1 })
  }
  return connect({
    host,
    port,
    user: user.name,
    signers: [key],
    hosts: { knownHosts },
    ...(through && { dial }),
    ...more,
  })
}

test('two deep, it carries 50 MiB both ways, with new keys on every level meanwhile', async () => {
  const outer = await visit()
  const middle = await visit(outer)
  const inner = await visit(middle)
  await echo.carry(inner, 50 * MiB)
  // An inner one that is closed leaves the others as they are.
  await inner.close()
  expect(await inner.closed).toBeUndefined()
  expect(await middle.exec('echo still here')).toMatchObject({ status: 0 })
  await middle.close()
  await outer.close()
})

test.each([
  ['is closed', (outer: Connection) => outer.close()],
  ['is cut', () => sshd.dropConnections()],
])('is lost with the one beneath, which %s', async (_what, end) => {
  const outer = await visit()
  const middle = await visit(outer)
  const inner = await visit(middle)
  const stream = await inner.openDirect('127.0.0.1', echo.port, { host: '127.0.0.1', port: 1 })
  const broken = new Promise<Error>(resolve => stream.once('error', resolve))
  await end(outer)
  for (const connection of [middle, inner]) expect(await connection.closed).toMatchObject({ code: 'unreachable' })
  expect(await broken).toMatchObject({ code: 'unreachable' })
  await expect(inner.exec('true')).rejects.toMatchObject({ code: 'unreachable' })
})

test('a far side that only ends hangs up; one that was gone before it was looked at, too', async () => {
  const ended = new PassThrough()
  ended.end()
  await expect(visit(undefined, { dial: async () => ended })).rejects.toMatchObject({
    code: 'unreachable',
    message: `127.0.0.1:${sshd.port} hangs up`,
  })
  const gone = new PassThrough()
  gone.destroy()
  await expect(visit(undefined, { dial: async () => gone })).rejects.toMatchObject({ code: 'unreachable' })
  await expect(visit(undefined, { dial: async () => new PassThrough(), stepTime: 200 })).rejects.toMatchObject({
    code: expect.stringMatching(/^(unreachable|damaged)$/),
  })
})
