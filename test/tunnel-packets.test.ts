import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type Server } from 'node:net'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { jest } from '@jest/globals'
import { generate, type PrivateKey } from '@keytool/keygen'
import { connect, KnownHosts } from '@keytool/tunnel'
import { type Home, temporaryHome } from './world/home.js'
import { startSshd } from './world/sshd.js'
import { createUser, type SystemUser } from './world/system-user.js'

// Each way of sealing packets, judged by OpenSSH's server, which asks for new keys every few hundred of them.

jest.setTimeout(120_000)

/** Some of them are ours, the last one is the library's. */
const ciphers = ['aes128-gcm@openssh.com', 'aes256-gcm@openssh.com', 'chacha20-poly1305@openssh.com', 'aes256-ctr']
const SIZE = 6 * 1024 * 1024

let home: Home
let user: SystemUser
let key: PrivateKey
let mirror: Server

beforeAll(async () => {
  home = await temporaryHome()
  user = await createUser()
  key = await generate('ed25519')
  await user.authorize(`${key.publicKey.algorithm.name} ${key.publicKey.blob.toString('base64')}`)
  mirror = createServer(socket => socket.on('error', () => {}).pipe(socket))
  mirror.listen(0, '127.0.0.1')
  await once(mirror, 'listening')
})

afterAll(async () => {
  mirror.close()
  await user.dispose()
  await home.dispose()
})

test.each(ciphers)('%s, whose keys change under load, both ways', async cipher => {
  const sshd = await startSshd({ users: [user], config: [`Ciphers ${cipher}`, 'RekeyLimit 512K', 'LogLevel DEBUG1'] })
  const knownHosts = new KnownHosts({ home: home.path, files: [join(home.path, cipher)], systemFiles: [] })
  const hosts = { knownHosts, confirmHost: async () => true }
  const connection = await connect({ host: sshd.host, port: sshd.port, user: user.name, signers: [key], hosts })
  try {
    const { port } = mirror.address() as { port: number }
    const streams = [1, 2, 3].map(async odd => {
      const stream = await connection.openDirect('127.0.0.1', port, { host: '127.0.0.1', port: 1 })
      const sent = randomBytes(SIZE / 3 + odd)
      stream.end(sent)
      const come = await buffer(stream)
      expect(createHash('sha256').update(come).digest('hex')).toBe(createHash('sha256').update(sent).digest('hex'))
    })
    await Promise.all(streams)
    expect(sshd.log()).toContain(`client->server cipher: ${cipher}`)
    expect(sshd.log().match(/rekeying in progress|SSH2_MSG_NEWKEYS received/g)?.length).toBeGreaterThan(5)
  } finally {
    await connection.close()
    await sshd.stop()
  }
})
