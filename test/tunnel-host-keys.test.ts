import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { jest } from '@jest/globals'
import { generate, type PrivateKey, typeOfBlob } from '@keytool/keygen'
import { type ConnectOptions, connect, KnownHosts } from '@keytool/tunnel'
import { type Home, temporaryHome } from './world/home.js'
import { newestServers } from './world/newest-sshd.js'
import { type Sshd, startSshd } from './world/sshd.js'
import { createUser, type SystemUser } from './world/system-user.js'

// The host keys that a server tells of once somebody is in.

jest.setTimeout(90_000)

type News = Parameters<NonNullable<ConnectOptions['onHostKeys']>>

let home: Home
let user: SystemUser
let sshd: Sshd
let key: PrivateKey

beforeAll(async () => {
  home = await temporaryHome()
  user = await createUser()
  key = await generate('ed25519')
  sshd = await startSshd({ users: [user], authorizedKeys: [lineOf(key)] })
}, 90_000)

afterAll(async () => {
  await sshd?.stop()
  await user?.dispose()
  await home?.dispose()
}, 90_000)

function lineOf({ publicKey }: PrivateKey): string {
  return `${publicKey.algorithm.name} ${publicKey.blob.toString('base64')}`
}

/** Logs in to a server that is known by one of its keys, and gives the news to `judge`. */
async function hear<T>(
  server: Pick<Sshd, 'host' | 'port' | 'knownHosts'>,
  name: string,
  type: string,
  judge: (...news: News) => Promise<T>,
): Promise<T> {
  const file = join(home.ssh, `known-${server.port}`)
  await writeFile(
    file,
    server.knownHosts
      .split('\n')
      .filter(line => line.includes(type))
      .join('\n'),
  )
  const knownHosts = new KnownHosts({ home: home.path, files: [file], systemFiles: [] })
  let settle: (value: Promise<T>) => void = () => {}
  const heard = new Promise<T>(resolve => {
    settle = resolve
  })
  const { host, port } = server
  const connection = await connect({
    host,
    port,
    user: name,
    signers: [key],
    hosts: { knownHosts },
    async onHostKeys(...news) {
      const judged = judge(...news)
      settle(judged)
      await judged
    },
  })
  try {
    return await heard
  } finally {
    await connection.close()
  }
}

test.each(['ssh-ed25519', 'ssh-rsa', 'ecdsa-sha2-nistp256'])('known by %s, it proves all of them', async type => {
  const keys = await hear(sshd, user.name, type, async (found, prove) => {
    await prove(found)
    await prove([])
    await prove(found.slice(1, 2))
    return found
  })
  expect(keys.map(typeOfBlob)).toEqual(['ssh-ed25519', 'ssh-rsa', 'ecdsa-sha2-nistp256'])
  const publicFile = await readFile(`${sshd.hostKeyFiles.rsa}.pub`, 'utf8')
  expect(keys[1]?.toString('base64')).toBe(publicFile.split(' ')[1])
})

test('a key that it has not shown is not asked about', async () => {
  const stranger = (await generate('ed25519')).publicKey.blob
  const refused = hear(sshd, user.name, 'ssh-ed25519', (_keys, prove) => prove([stranger]))
  await expect(refused).rejects.toMatchObject({ code: 'usage' })
})

for (const suite of newestServers()) {
  test(`${suite.name}: the same`, async () => {
    const server = await suite.startSshd([lineOf(key)])
    try {
      const keys = await hear(server, 'root', 'ssh-ed25519', async (found, prove) => {
        await prove(found)
        return found
      })
      expect(keys.map(typeOfBlob)).toEqual(['ssh-ed25519'])
    } finally {
      await server.stop()
    }
  })
}
