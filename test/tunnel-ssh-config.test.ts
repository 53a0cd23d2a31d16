import { readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { jest } from '@jest/globals'
import { makeKey } from './agent-hosts.js'
import { eventually, greetingAt, openTunnelWorld, portIn, type TunnelWorld } from './tunnel-cli-fixture.js'
import { findDescendants } from './world/descendants.js'
import { findFreePort } from './world/port.js'
import { killIfThere, runOrThrow } from './world/run.js'
import { startSshAgent } from './world/ssh-agent.js'
import { type Sshd, startSshd } from './world/sshd.js'

// What ssh_config says, as `keytool tunnel` keeps it, against OpenSSH's server.

jest.setTimeout(120_000)

let world: TunnelWorld
let target: number
const at = (name: string) => join(world.home.ssh, name)
const config = (...lines: string[]) => writeFile(at('config'), `${lines.join('\n')}\n`)
const knownHosts = () => writeFile(at('known_hosts'), world.sshd.knownHosts)

beforeAll(async () => {
  world = await openTunnelWorld()
  target = await world.serve(socket => socket.end('hello\n'))
})

afterEach(async () => {
  await world.clear()
  await knownHosts()
  await rm(at('config'), { force: true })
})

afterAll(() => world?.dispose())

const start = (...args: string[]) => world.tunnel(['--background', ...args])
const forward = () => ['-L', `0:127.0.0.1:${target}`]
const host = (...more: string[]) => [
  'Host mail',
  ...['HostName 127.0.0.1', `Port ${world.sshd.port}`, `User ${world.user.name}`],
  ...more,
]

/** Lines that the server logged meanwhile about keys it was offered. */
async function offeredDuring(work: () => Promise<unknown>): Promise<string[]> {
  const before = world.sshd.log().length
  await work()
  return (
    world.sshd
      .log()
      .slice(before)
      .match(/^(Accepted|Failed) publickey .*$/gm) ?? []
  )
}

test('HostName, Port, User, LocalForward: a host’s name is enough', async () => {
  await config(...host(`LocalForward ${await findFreePort()} 127.0.0.1:${target}`))
  const { status, stdout, stderr } = await start('mail')
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
  expect(await greetingAt(portIn(stdout))).toBe('hello\n')
  expect((await world.status())[0]?.name).toBe('mail')
})

test('forwards of the line stand beside those that are configured, each once; flags go before the file, -o before -F’s', async () => {
  const other = join(world.home.path, 'other')
  await writeFile(
    other,
    `${host(`LocalForward ${await findFreePort()} 127.0.0.1:1`).join('\n')}\nHost *\n  User nobody\n`,
  )
  const { status, stdout } = await start('-F', other, '-l', world.user.name, ...forward(), 'mail')
  expect({ status, lines: stdout.match(/ -> /g)?.length }).toEqual({ status: 0, lines: 2 })
  await world.clear()
  const wrong = await start('-F', other, '-o', 'User=nobody', ...forward(), 'mail')
  expect(wrong).toMatchObject({ status: 5, stderr: expect.stringContaining('nobody@127.0.0.1') })
  expect(await start('-F', 'none', ...forward(), 'mail.invalid')).toMatchObject({ status: 7 })
  expect(await start('-o', 'NoSuchThing=1', ...forward(), 'mail')).toMatchObject({
    status: expect.any(Number),
    stdout: '',
  })
})

test('UserKnownHostsFile and HostKeyAlias say where the host is known, and as what', async () => {
  await writeFile(at('known_hosts'), '')
  await writeFile(at('elsewhere'), world.sshd.knownHosts.replaceAll(/^\S+/gm, 'the-alias'))
  await config(...host(`UserKnownHostsFile ${at('elsewhere')}`, 'HostKeyAlias the-alias'))
  expect(await start(...forward(), 'mail')).toMatchObject({ status: 0, stderr: '' })
  await world.clear()
  expect(await start(...forward(), '-o', 'HostKeyAlias=another', 'mail')).toMatchObject({ status: 8 })
})

test('StrictHostKeyChecking accept-new takes a new one, never a changed one', async () => {
  await writeFile(at('known_hosts'), '')
  await config(...host('StrictHostKeyChecking accept-new'))
  expect(await start(...forward(), 'mail')).toMatchObject({ status: 0 })
  await world.clear()
  expect(await readFile(at('known_hosts'), 'utf8')).not.toBe('')
  await makeKey(at('other-host'))
  const line = (await readFile(at('other-host.pub'), 'utf8')).trim()
  await writeFile(at('known_hosts'), `[127.0.0.1]:${world.sshd.port} ${line}\n`)
  expect(await start(...forward(), 'mail')).toMatchObject({ status: 8, stderr: expect.stringContaining('has changed') })
})

test('IdentityFile, IdentitiesOnly, IdentityAgent: these keys and no others, in this order', async () => {
  await makeKey(at('one'))
  await makeKey(at('two'))
  const agent = await startSshAgent(world.home)
  try {
    await runOrThrow('/usr/bin/ssh-add', ['-q', at('one'), at('two'), at('id_ed25519')], { env: agent.env })
    await rename(at('id_ed25519'), at('away'))
    // The agent is found by IdentityAgent alone, and all its keys are offered in turn.
    await config(...host(`IdentityAgent ${agent.socket}`))
    expect(await offeredDuring(() => start(...forward(), 'mail'))).toHaveLength(3)
    await world.clear()
    await config(...host(`IdentityAgent ${agent.socket}`, `IdentityFile ${at('id_ed25519')}`, 'IdentitiesOnly yes'))
    // What is there of the key is its public half.
    expect(await offeredDuring(() => start(...forward(), 'mail'))).toEqual([expect.stringMatching(/^Accepted/)])
    await world.clear()
    await config(...host(`IdentityAgent ${agent.socket}`, `IdentityFile ${at('two')}`))
    expect(await offeredDuring(() => start(...forward(), 'mail'))).toHaveLength(3)
    await world.clear()
    await config(...host('IdentityAgent none', 'PasswordAuthentication no'))
    expect(await start(...forward(), 'mail')).toMatchObject({ status: 5 })
  } finally {
    await agent.stop()
    await rename(at('away'), at('id_ed25519'))
  }
})

test('ServerAliveInterval and ServerAliveCountMax: a server that is silent is lost so soon', async () => {
  await config(...host('ServerAliveInterval 1', 'ServerAliveCountMax 1'))
  expect(await start(...forward(), 'mail')).toMatchObject({ status: 0 })
  const pids = await findDescendants(world.sshd.pid)
  for (const pid of pids) killIfThere(pid, 'SIGSTOP')
  try {
    const [facts] = await eventually(world.status, ([first]) => first?.lastError !== null, 40_000)
    expect(facts?.lastError).toContain('is lost')
  } finally {
    for (const pid of pids) killIfThere(pid)
  }
})

test('--verbose says which files and settings count, and what is left out', async () => {
  await config('# mine', ...host('ControlMaster auto', 'Compression yes'))
  const { status, stderr } = await start('-v', ...forward(), 'mail')
  expect(status).toBe(0)
  expect(stderr).toContain('settings from ~/.ssh/config\n')
  expect(stderr).toMatch(/^left out: controlmaster \(~\/\.ssh\/config line 6\)$/m)
  expect(stderr).toMatch(new RegExp(`^connecting to ${world.user.name}@127\\.0\\.0\\.1:${world.sshd.port}$`, 'm'))
  expect(stderr).toMatch(/^logged in at \S+ by publickey$/m)
})

test('a file that is wrong: its place is said, and nothing is dialled', async () => {
  await config(...host('Port many'))
  const { status, stdout, stderr } = await start(...forward(), 'mail')
  expect({ status, stdout }).toEqual({ status: 6, stdout: '' })
  expect(stderr).toContain('~/.ssh/config line 5')
})

test('a certificate beside the key lets in where only an authority is trusted', async () => {
  for (const name of ['ca', 'signed']) await makeKey(at(name))
  const sign = ['-q', '-s', at('ca'), '-I', 'me', '-n', world.user.name, at('signed.pub')]
  await runOrThrow('/usr/bin/ssh-keygen', sign)
  const sshd = await startSshd({
    users: [world.user],
    passwordUsers: [],
    config: [`TrustedUserCAKeys ${at('ca.pub')}`, 'AuthorizedKeysFile none'],
  })
  try {
    await writeFile(at('known_hosts'), sshd.knownHosts)
    const there = ['-p', String(sshd.port), `${world.user.name}@127.0.0.1`]
    expect(await start('-i', at('signed'), ...forward(), ...there)).toMatchObject({ status: 0, stderr: '' })
    await world.clear()
    expect(await start('-i', at('ca'), ...forward(), ...there)).toMatchObject({ status: 5 })
    await config('Host *', `IdentityFile ${at('signed')}`)
    expect(await start(...forward(), ...there)).toMatchObject({ status: 0, stderr: '' })
  } finally {
    await sshd.stop()
  }
})

describe('a server with weak algorithms alone', () => {
  let weak: Sshd
  const there = () => ['-p', String(weak.port), `${world.user.name}@127.0.0.1`]
  const options = [
    ['KexAlgorithms', 'diffie-hellman-group14-sha1'],
    ['HostKeyAlgorithms', 'ssh-rsa'],
    ['MACs', 'hmac-sha1'],
  ] as const

  beforeAll(async () => {
    weak = await startSshd({
      users: [world.user],
      passwordUsers: [],
      config: [...options.map(([name, value]) => `${name} ${value}`), 'Ciphers aes128-ctr'],
    })
  })
  beforeEach(async () => {
    await writeFile(at('known_hosts'), weak.knownHosts)
  })
  afterAll(() => weak?.stop())

  test('is refused, and the hint is what lets it in', async () => {
    const { status, stdout, stderr } = await start(...forward(), ...there())
    expect({ status, stdout }).toEqual({ status: 6, stdout: '' })
    const [, hint = ''] = /: add (.*)$/m.exec(stderr) ?? []
    expect(hint.split(' ').sort()).toEqual(
      ['-o', '-o', '-o', ...options.map(([name, value]) => `${name}=+${value}`)].sort(),
    )
    expect(await start(...hint.split(' '), ...forward(), ...there())).toMatchObject({ status: 0, stderr: '' })
  })

  test('is let in by a session that names them, and only by one that names them all', async () => {
    const save = (...names: string[]) =>
      world.ours(
        'session',
        'save',
        'old',
        '--force',
        ...names.flatMap(name => ['--weak', name]),
        ...forward(),
        ...there(),
      )
    expect(await save(...options.slice(1).map(([, value]) => value))).toMatchObject({ status: 0 })
    expect(await start('old')).toMatchObject({ status: 6 })
    expect(await save(...options.map(([, value]) => value))).toMatchObject({ status: 0 })
    expect(await start('old')).toMatchObject({ status: 0, stderr: '' })
  })
})
