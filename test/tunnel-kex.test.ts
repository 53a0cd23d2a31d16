import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { jest } from '@jest/globals'
import { generate, type PrivateKey } from '@keytool/keygen'
import { type Connection, type ConnectOptions, connect, KnownHosts } from '@keytool/tunnel'
import { type Echo, startEcho } from './tunnel-echo.js'
import { type Home, temporaryHome } from './world/home.js'
import { type NewestSshd, newestServers } from './world/newest-sshd.js'
import { keytool } from './world/run.js'
import { type Sshd, startSshd } from './world/sshd.js'
import { startKeytool } from './world/start.js'
import { createUser, type SystemUser } from './world/system-user.js'

// What the engine agrees on with OpenSSH's servers, old and new.

jest.setTimeout(90_000)

const MiB = 1024 * 1024
const HYBRID = 'mlkem768x25519-sha256'

let home: Home
let user: SystemUser
let key: PrivateKey
let echo: Echo

beforeAll(async () => {
  home = await temporaryHome()
  user = await createUser()
  key = await generate('ed25519')
  await user.authorize(lineOf(key))
  echo = await startEcho()
}, 90_000)

afterAll(async () => {
  echo.close()
  await user.dispose()
  await home.dispose()
}, 90_000)

function lineOf({ publicKey }: PrivateKey): string {
  return `${publicKey.algorithm.name} ${publicKey.blob.toString('base64')}`
}

async function to(
  server: Pick<Sshd | NewestSshd, 'host' | 'port' | 'knownHosts'>,
  name: string,
  more: Partial<ConnectOptions> = {},
): Promise<Connection> {
  const file = join(home.ssh, `known-${server.port}`)
  await writeFile(file, server.knownHosts)
  const knownHosts = new KnownHosts({ home: home.path, files: [file], systemFiles: [] })
  const { host, port } = server
  return await connect({ host, port, user: name, signers: [key], hosts: { knownHosts }, ...more })
}

for (const suite of newestServers()) {
  describe(suite.name, () => {
    test('agrees on ML-KEM, with nothing else to choose, and again and again while data flows', async () => {
      const config = [`KexAlgorithms ${HYBRID}`, 'RekeyLimit 1M', 'LogLevel DEBUG1']
      const server = await suite.startSshd([lineOf(key)], config)
      try {
        const connection = await to(server, 'root')
        await echo.carry(connection, 12 * MiB)
        await connection.close()
        expect(await connection.closed).toBeUndefined()
        await server.waitForLog(/(SSH2_MSG_NEWKEYS received[\s\S]*){6}/)
      } finally {
        await server.stop()
      }
    }, 90_000)

    test('the program has it, too', async () => {
      const own = await temporaryHome()
      const made = await keytool(['gen', '-t', 'ed25519', '--no-passphrase'], { env: own.env })
      expect(made.status).toBe(0)
      const line = await readFile(join(own.ssh, 'id_ed25519.pub'), 'utf8')
      const server = await suite.startSshd([line], [`KexAlgorithms ${HYBRID}`])
      try {
        await writeFile(join(own.ssh, 'known_hosts'), server.knownHosts)
        const words = ['-L', `0:127.0.0.1:${echo.port}`, '-p', String(server.port), 'root@127.0.0.1']
        const tunnel = await startKeytool(['tunnel', ...words], { env: own.env })
        await tunnel.waitFor(/^127\.0\.0\.1:\d+ -> /m)
        expect(await tunnel.stop('SIGINT')).toEqual({ status: 0, signal: null })
      } finally {
        await server.stop()
        await own.dispose()
      }
    }, 90_000)

    test('prefers ML-KEM by itself', async () => {
      const server = await suite.startSshd([lineOf(key)], ['LogLevel DEBUG1'])
      try {
        await (await to(server, 'root')).close()
        await server.waitForLog(new RegExp(`kex: algorithm: ${HYBRID}`))
      } finally {
        await server.stop()
      }
    }, 90_000)
  })
}

describe('a server that has weak algorithms only', () => {
  const hostKey = ['diffie-hellman-group14-sha1', 'ssh-rsa']
  const ciphers = ['aes256-cbc', 'aes192-cbc', 'aes128-cbc', '3des-cbc']
  const macs = ['hmac-sha1-etm@openssh.com', 'hmac-sha1']
  let server: Sshd

  beforeAll(async () => {
    const [kex, type] = hostKey
    const lists = [`KexAlgorithms ${kex}`, `HostKeyAlgorithms ${type}`, `Ciphers ${ciphers}`, `MACs ${macs}`]
    server = await startSshd({ users: [user], config: lists })
  }, 90_000)

  afterAll(() => server.stop())

  test('is refused, with all that it takes to let it in', async () => {
    await expect(to(server, user.name)).rejects.toMatchObject({
      code: 'unsupported',
      message: `127.0.0.1:${server.port} and this program have no algorithm in common`,
      reason: 'it offers key exchange by diffie-hellman-group14-sha1 only',
      hint:
        "if this server can't be updated: add -o KexAlgorithms=+diffie-hellman-group14-sha1 " +
        '-o HostKeyAlgorithms=+ssh-rsa -o Ciphers=+aes256-cbc -o MACs=+hmac-sha1-etm@openssh.com',
    })
  })

  test('is let in no further than it is named', async () => {
    const most = [...hostKey, ...macs]
    await expect(to(server, user.name, { weak: most })).rejects.toMatchObject({
      code: 'unsupported',
      reason: `it offers ciphers by ${ciphers.join(', ')} only`,
      hint: "if this server can't be updated: add -o Ciphers=+aes256-cbc",
    })
    await expect(to(server, user.name, { weak: ['rot13'] })).rejects.toMatchObject({ code: 'usage' })
  })

  test.each(ciphers.flatMap(cipher => macs.map(mac => [cipher, mac])))('works by %s with %s', async (cipher, mac) => {
    const connection = await to(server, user.name, { weak: [...hostKey, cipher, mac] })
    await echo.carry(connection, MiB)
    await connection.close()
  })
})
