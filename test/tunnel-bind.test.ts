import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { jest } from '@jest/globals'
import { type AgentClient, connectAgent } from '@keytool/agent'
import { type ConnectOptions, connect, dial, KnownHosts } from '@keytool/tunnel'
import { startOurAgent } from './agent-fixture.js'
import { type Environment, type Home, temporaryHome } from './world/home.js'
import { peerPath } from './world/peers.js'
import { runOrThrow } from './world/run.js'
import { startSshAgent } from './world/ssh-agent.js'
import { type Sshd, startSshd } from './world/sshd.js'
import { createUser, type SystemUser } from './world/system-user.js'

// Keys that an agent gives away for one host only: it has to be told, and shown, which host a login is for.

jest.setTimeout(90_000)

const kinds = ['ssh-agent', 'keytool agent'] as const

let home: Home
let user: SystemUser
let permitted: Sshd
let other: Sshd
let certified: Sshd
let agents: { socket: string; env: Environment; stop(): Promise<void> }[]

const ssh = (name: string) => join(home.ssh, name)

beforeAll(async () => {
  home = await temporaryHome()
  user = await createUser()
  const keygen = (...args: string[]) => runOrThrow(peerPath('ssh-keygen'), ['-q', ...args])
  for (const name of ['plain', 'byhost', 'ca']) await keygen('-t', 'ed25519', '-N', '', '-C', name, '-f', ssh(name))
  permitted = await startSshd({ users: [user] })
  // An own host key; the slow ones are shared.
  await keygen('-t', 'ed25519', '-N', '', '-f', ssh('host'))
  await keygen('-s', ssh('ca'), '-I', 'host', '-h', '-n', 'certified.example', `${ssh('host')}.pub`)
  other = await startSshd({ users: [user], hostKeyFiles: { ...permitted.hostKeyFiles, ed25519: ssh('host') } })
  certified = await startSshd({
    users: [user],
    hostKeyFiles: { ...permitted.hostKeyFiles, ed25519: ssh('host') },
    config: [`HostCertificate ${ssh('host-cert.pub')}`],
  })
  for (const name of ['plain', 'byhost']) {
    await user.authorize((await runOrThrow('/bin/cat', [`${ssh(name)}.pub`])).stdout)
  }
  const blobOf = (sshd: Sshd) =>
    sshd.knownHosts
      .split('\n')
      .find(line => line.includes('ssh-ed25519'))
      ?.split(' ')[2]
  const authority = (await runOrThrow('/bin/cat', [`${ssh('ca')}.pub`])).stdout
  await writeFile(
    ssh('names'),
    `permitted.example ssh-ed25519 ${blobOf(permitted)}\n@cert-authority certified.example ${authority}`,
  )
  await writeFile(ssh('known_hosts'), `${permitted.knownHosts}${other.knownHosts}`)
  await writeFile(ssh('authority'), `@cert-authority certified.example ${authority}`)
  agents = [await startSshAgent(home), await startOurAgent(home)]
  for (const { env } of agents) {
    const add = (host: string, key: string) =>
      runOrThrow(peerPath('ssh-add'), ['-q', '-H', ssh('names'), '-h', host, ssh(key)], { env })
    await add('permitted.example', 'plain')
    await add('certified.example', 'byhost')
  }
}, 180_000)

afterAll(async () => {
  for (const agent of agents ?? []) await agent.stop()
  for (const sshd of [certified, other, permitted]) await sshd?.stop()
  await user?.dispose()
  await home?.dispose()
}, 90_000)

function to(sshd: Sshd, agent: AgentClient, more: Partial<ConnectOptions> = {}): ConnectOptions {
  const knownHosts = new KnownHosts({ home: home.path, files: [ssh('known_hosts')], systemFiles: [] })
  return {
    host: sshd.host,
    port: sshd.port,
    user: user.name,
    hosts: { knownHosts },
    signers: () => agent.signers(),
    onBinding: binding => agent.bind({ ...binding, forwarding: false }),
    ...more,
  }
}

describe.each(kinds.map((name, index) => [name, index] as const))('%s', (_name, index) => {
  let agent: AgentClient

  beforeEach(async () => {
    agent = await connectAgent(agents[index]?.socket ?? '')
  })

  afterEach(() => agent.close())

  test('gives the key for the host it is for, which has proved itself', async () => {
    let bound = 0
    const onBinding: ConnectOptions['onBinding'] = async binding => {
      bound++
      expect(binding.sessionId).toHaveLength(32)
      await agent.bind({ ...binding, forwarding: false })
    }
    await (await connect(to(permitted, agent, { onBinding }))).close()
    expect(bound).toBe(1)
  })

  test('gives none for another host', async () => {
    await expect(connect(to(other, agent))).rejects.toMatchObject({
      code: expect.stringMatching(/^(secret-needed|secret-wrong|refused)$/),
    })
  })

  test('does not sign for a session nobody has told it of', async () => {
    const unbound = to(permitted, agent, { onBinding: async () => {} })
    await expect(connect(unbound)).rejects.toMatchObject({ code: 'refused' })
  })

  test('takes the certificate that a host shows, for a key that is for hosts of its authority', async () => {
    const knownHosts = new KnownHosts({ home: home.path, files: [ssh('authority')], systemFiles: [] })
    const there: ConnectOptions['dial'] = options => dial({ ...options, host: '127.0.0.1', port: certified.port })
    const options = to(certified, agent, { host: 'certified.example', port: 22, hosts: { knownHosts }, dial: there })
    await (await connect(options)).close()
  })
})

test('a binding that fails ends the connection', async () => {
  const agent = await connectAgent(agents[0]?.socket ?? '')
  const refusal = new Error('no')
  const failure = connect(to(permitted, agent, { onBinding: () => Promise.reject(refusal) }))
  await expect(failure).rejects.toMatchObject({ cause: refusal })
  agent.close()
})
