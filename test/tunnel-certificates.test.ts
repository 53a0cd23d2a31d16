import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { jest } from '@jest/globals'
import { connectAgent } from '@keytool/agent'
import { generate, keyFormats, type PrivateKey, PublicKey, type Signer } from '@keytool/keygen'
import { type ConnectOptions, connect, dial, KnownHosts } from '@keytool/tunnel'
import { type Home, temporaryHome } from './world/home.js'
import { peerPath } from './world/peers.js'
import { runOrThrow } from './world/run.js'
import { startSshAgent } from './world/ssh-agent.js'
import { type Sshd, startSshd } from './world/sshd.js'
import { createUser, type SystemUser } from './world/system-user.js'

// Certificates of users and of hosts, judged by OpenSSH's server.

jest.setTimeout(120_000)

const types = ['ed25519', 'ecdsa', 'rsa'] as const
/** Types of host keys, and what a host that has a certificate of one offers. */
const hostKinds = [
  ['ed25519', 'ssh-ed25519-cert-v01@openssh.com'],
  ['ecdsa', 'ecdsa-sha2-nistp256-cert-v01@openssh.com'],
  ['rsa', 'rsa-sha2-512-cert-v01@openssh.com'],
] as const

let home: Home
let user: SystemUser
let sshd: Sshd

const file = (name: string) => join(home.ssh, name)
const keygen = (...args: string[]) => runOrThrow(peerPath('ssh-keygen'), ['-q', ...args])

/** Makes the certificate of a key for the user, or what the options say. */
async function certify(name: string, ...options: string[]): Promise<PublicKey> {
  await keygen('-s', file('ca'), '-I', name, '-n', user.name, ...options, file(`${name}.pub`))
  return await readPublic(`${name}-cert.pub`)
}

async function readPublic(name: string): Promise<PublicKey> {
  const [, blob = ''] = (await readFile(file(name), 'utf8')).split(' ')
  return PublicKey.fromBlob(Buffer.from(blob, 'base64'))
}

async function readPrivate(name: string): Promise<PrivateKey> {
  const openssh = keyFormats.find(format => format.name === 'openssh')
  if (!openssh) throw new Error('there is no such format')
  return await openssh.read(await readFile(file(name)))
}

beforeAll(async () => {
  home = await temporaryHome()
  user = await createUser()
  for (const name of ['ca', ...types]) {
    const type = name === 'ca' ? 'ed25519' : name
    await keygen('-t', type, ...(type === 'rsa' ? ['-b', '2048'] : []), '-N', '', '-C', name, '-f', file(name))
  }
  await keygen('-t', 'ed25519', '-N', '', '-f', file('stranger'))
  sshd = await startSshd({ users: [user], config: [`TrustedUserCAKeys ${file('ca.pub')}`, 'LogLevel DEBUG1'] })
  await writeFile(file('known_hosts'), sshd.knownHosts)
})

afterAll(async () => {
  await sshd?.stop()
  await user?.dispose()
  await home?.dispose()
})

function login(signers: ConnectOptions['signers'], more: Partial<ConnectOptions> = {}): ConnectOptions {
  const knownHosts = new KnownHosts({ home: home.path, files: [file('known_hosts')], systemFiles: [] })
  return { host: sshd.host, port: sshd.port, user: user.name, hosts: { knownHosts }, signers: signers ?? [], ...more }
}

describe("a user's certificate", () => {
  test.each(types)('of a key in a file lets in: %s', async type => {
    const key = (await readPrivate(type)).withCertificate(await certify(type))
    const connection = await connect(login([key]))
    expect(connection.admission.method).toBe('publickey')
    await connection.close()
    await expect(connect(login([await readPrivate(type)]))).rejects.toMatchObject({ code: 'secret-wrong' })
  })

  test('of keys in an agent lets in, before the key itself is offered', async () => {
    const agent = await startSshAgent(home)
    try {
      for (const type of types) {
        await certify(type)
        await runOrThrow(peerPath('ssh-add'), ['-q', file(type)], { env: agent.env })
      }
      const client = await connectAgent(agent.socket)
      const signers = await client.signers()
      expect(signers.filter(({ certificate }) => certificate)).toHaveLength(types.length)
      for (const type of types) {
        const { blob } = await readPublic(`${type}.pub`)
        const mine = signers.filter(({ publicKey }) => publicKey.blob.equals(blob))
        const before = sshd.log().length
        await (await connect(login(mine))).close()
        expect(
          sshd
            .log()
            .slice(before)
            .match(/userauth_pubkey: publickey test pkalg/g),
        ).toHaveLength(1)
      }
      client.close()
    } finally {
      await agent.stop()
    }
  })

  test.each([
    ['expired', ['-V', '20200101:20200102'], /^of the certificate: it expired on 2020-01-0[12] \d\d:00; it offers/],
    ['not valid yet', ['-V', '20990101:20990102'], /^of the certificate: it is valid from 20(98-12-31|99-01-01)/],
    ['of somebody else', ['-n', 'nobody-here'], /^of the certificate: it is for nobody-here;/],
  ])('that is %s is refused, and it is said why', async (_what, options, reason) => {
    const key = (await readPrivate('ed25519')).withCertificate(await certify('ed25519', ...options))
    await expect(connect(login([key]))).rejects.toMatchObject({
      code: 'secret-wrong',
      message: `127.0.0.1 refuses the key offered for ${user.name}`,
      reason: expect.stringMatching(reason),
    })
  })

  test('that is refused does not keep the key from being tried', async () => {
    const stranger = await generate('ed25519')
    const { algorithm, blob } = (await readPrivate('stranger')).publicKey
    await user.authorize(`${algorithm.name} ${blob.toString('base64')}`)
    const expired = (await readPrivate('stranger')).withCertificate(
      await certify('stranger', '-V', '20200101:20200102'),
    )
    await (await connect(login([stranger, expired]))).close()
  })

  test('is signed for with the hash that is named, by whoever signs', async () => {
    const key = await readPrivate('rsa')
    const hashes: unknown[] = []
    const watched: Signer = {
      publicKey: key.publicKey,
      certificate: await certify('rsa'),
      sign(data, options) {
        hashes.push(options?.hash)
        return key.sign(data, options)
      },
    }
    await (await connect(login([watched]))).close()
    expect(hashes).toEqual(['sha256'])
  })
})

describe("a host's certificate", () => {
  let certified: Sshd

  beforeAll(async () => {
    const lines: string[] = []
    for (const type of types) {
      await keygen('-s', file('ca'), '-I', 'host', '-h', '-n', 'shop.example', `${sshd.hostKeyFiles[type]}.pub`)
      lines.push(`HostCertificate ${sshd.hostKeyFiles[type]}-cert.pub`)
    }
    const config = [...lines, `TrustedUserCAKeys ${file('ca.pub')}`]
    certified = await startSshd({ users: [user], config, hostKeyFiles: sshd.hostKeyFiles })
  })

  afterAll(() => certified?.stop())

  /** As a user who knows the host by this line alone, and by no other name. */
  async function visit(line: string, host = 'shop.example', more: Partial<ConnectOptions> = {}) {
    await writeFile(file('authorities'), line)
    const knownHosts = new KnownHosts({ home: home.path, files: [file('authorities')], systemFiles: [] })
    const key = (await readPrivate('ed25519')).withCertificate(await certify('ed25519'))
    const there: ConnectOptions['dial'] = options => dial({ ...options, host: '127.0.0.1', port: certified.port })
    return await connect(login([key], { host, port: 22, hosts: { knownHosts }, dial: there, ...more }))
  }

  const authority = async () => `@cert-authority *.example ${await readFile(file('ca.pub'), 'utf8')}`

  test.each(hostKinds)('%s: is asked for and believed, and again with every new key', async (type, name) => {
    const only = [`HostKeyAlgorithms ${name}`, `HostCertificate ${sshd.hostKeyFiles[type]}-cert.pub`]
    const config = [...only, `TrustedUserCAKeys ${file('ca.pub')}`, 'RekeyLimit 64K']
    const one = await startSshd({ users: [user], config, hostKeyFiles: sshd.hostKeyFiles })
    try {
      const there: ConnectOptions['dial'] = options => dial({ ...options, host: '127.0.0.1', port: one.port })
      const connection = await visit(await authority(), 'shop.example', { dial: there })
      const { stdout } = await connection.exec('head -c 500000 /dev/zero')
      expect(stdout).toHaveLength(500_000)
      await connection.close()
    } finally {
      await one.stop()
    }
  })

  test('is not believed for another name, or from a stranger', async () => {
    await expect(visit(await authority(), 'bank.example')).rejects.toMatchObject({ code: 'host-key-unknown' })
    const stranger = `@cert-authority *.example ${await readFile(file('stranger.pub'), 'utf8')}`
    await expect(visit(stranger)).rejects.toMatchObject({ code: 'host-key-unknown' })
  })

  test('is not asked for where no authority is known: the key itself counts', async () => {
    const [line = ''] = sshd.knownHosts.split('\n')
    await (await visit(`shop.example ${line.split(' ').slice(1).join(' ')}\n`)).close()
  })
})
