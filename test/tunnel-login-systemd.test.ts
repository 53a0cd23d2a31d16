import { chmod, copyFile, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { basename, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { jest } from '@jest/globals'
import { leaveHome, takeSnapshot } from './agent-fixture.js'
import { type Echo, startEcho } from './tunnel-echo.js'
import { type Environment, type Home, temporaryHome } from './world/home.js'
import { peerPath } from './world/peers.js'
import { findFreePort } from './world/port.js'
import { residentKeytool } from './world/resident.js'
import { keytool, runOrThrow } from './world/run.js'
import { type Sshd, startSshd } from './world/sshd.js'
import { createUser, type SystemUser } from './world/system-user.js'
import { startUserManager, type UserManager } from './world/user-manager.js'

// A tunnel from login on, with a real systemd --user, OpenSSH's server, and a key that our agent holds sealed at login.

jest.setTimeout(240_000)

const UNIT = 'keytool-tunnel-mail.service'

let home: Home
let user: SystemUser
let manager: UserManager
let echo: Echo
let sshd: Sshd
let hostKeyFiles: Sshd['hostKeyFiles']
/** Where the forward listens. */
let port: number
/** A shell's that knows another agent, where nobody is. */
let env: Environment

beforeAll(async () => {
  home = await temporaryHome()
  env = { ...home.env, SSH_AUTH_SOCK: join(home.runtime, 'nobody') }
  ;[user, echo, manager, port] = await Promise.all([
    createUser(),
    startEcho(),
    startUserManager(home.env),
    findFreePort(),
  ])
  const key = join(home.ssh, 'id')
  await runOrThrow(peerPath('ssh-keygen'), ['-q', '-t', 'ed25519', '-N', 'right horse', '-f', key])
  sshd = await startSshd({ users: [user], authorizedKeys: [await readFile(`${key}.pub`, 'utf8')] })
  hostKeyFiles = await keepHostKeys(sshd)
  const askpass = join(home.path, 'askpass')
  await writeFile(askpass, '#!/bin/sh\necho right horse\n')
  await chmod(askpass, 0o700)
  await manager.systemctl('set-environment', `SSH_ASKPASS=${askpass}`, 'SSH_ASKPASS_REQUIRE=force')
  const forward = `${port}:127.0.0.1:${echo.port}`
  await succeed('session', 'save', 'mail', `${user.name}@${sshd.host}`, '-p', `${sshd.port}`, '-i', key, '-L', forward)
})

afterAll(async () => {
  await manager.stop()
  echo.close()
  await sshd.stop()
  await user.dispose()
  for (const name of await readdir(home.runtime)) {
    if (name !== 'keytool') await rm(join(home.runtime, name), { recursive: true, force: true })
  }
  await rm(join(home.runtime, 'keytool', 'tunnels'), { recursive: true, force: true })
  await leaveHome(home)
})

/** A server takes its host keys with it: these are to outlive it. */
async function keepHostKeys({ hostKeyFiles: files }: Sshd): Promise<Sshd['hostKeyFiles']> {
  const folder = join(home.path, 'host-keys')
  await mkdir(folder, { mode: 0o700 })
  const keep = async (file: string) => {
    const kept = join(folder, basename(file))
    await Promise.all([copyFile(file, kept), copyFile(`${file}.pub`, `${kept}.pub`)])
    return kept
  }
  const [ed25519, rsa, ecdsa] = await Promise.all([keep(files.ed25519), keep(files.rsa), keep(files.ecdsa)])
  return { ed25519, rsa, ecdsa }
}

async function succeed(...args: string[]): Promise<string> {
  const { status, stdout, stderr } = await residentKeytool(args, { env })
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
  return stdout
}

async function property(name: string): Promise<string> {
  return (await manager.systemctl('show', '--value', `--property=${name}`, UNIT)).stdout.trim()
}

/** Waits until what the service says of itself is so. */
async function until(name: string, value: RegExp): Promise<void> {
  for (let i = 0; i < 600; i++) {
    if (value.test(await property(name))) return
    await sleep(50)
  }
  throw new Error(`${name} is ${await property(name)}, and not ${value}`)
}

/** Waits until what is sent through the forward comes back. */
async function untilItCarries(): Promise<void> {
  for (let i = 0; i < 400; i++) {
    if ((await carry('hello')) === 'hello') return
    await sleep(100)
  }
  throw new Error('nothing comes back')
}

function carry(text: string): Promise<string> {
  return new Promise(resolve => {
    const socket = connect(port, '127.0.0.1', () => socket.end(text))
    let got = ''
    socket.on('data', chunk => {
      got += chunk.toString()
    })
    socket.once('error', () => resolve(''))
    socket.once('close', () => resolve(got))
  })
}

test('before anything is known it says what to do first; a host nobody has said yes to is not knocked at again', async () => {
  const { status, stdout, stderr } = await keytool(['tunnel', 'install', 'mail'], { env })
  expect({ status, stdout }).toEqual({ status: 0, stdout: expect.stringContaining('by a systemd service') })
  expect(stderr.trimEnd().split('\n')).toEqual([
    `nobody has said yes to the host key of [127.0.0.1]:${sshd.port} yet; first: keytool tunnel mail, and Ctrl-C once it is up`,
    'nobody is there at login to type the passphrase for ~/.ssh/id; first: keytool add --at-login ~/.ssh/id',
  ])
  await until('ActiveState', /^failed$/)
  expect([await property('ExecMainStatus'), await property('NRestarts')]).toEqual(['8', '0'])
  expect(JSON.parse(await succeed('tunnel', 'status', '--json'))).toMatchObject([{ name: 'mail', state: 'stopped' }])
  await succeed('tunnel', 'uninstall', 'mail')
  expect(JSON.parse(await succeed('tunnel', 'status', '--json'))).toEqual([])
  expect(await readdir(join(home.path, '.config'))).toEqual(['keytool'])
  await expect(readdir(join(home.path, '.local', 'state', 'keytool'))).rejects.toMatchObject({ code: 'ENOENT' })
})

test('installed twice, carried at once and after every kind of end, and taken back without a trace', async () => {
  await writeFile(join(home.ssh, 'known_hosts'), sshd.knownHosts)
  await succeed('agent', 'install')
  const { status, stderr } = await keytool(['add', '--at-login', join(home.ssh, 'id')], {
    env: { ...env, SSH_AUTH_SOCK: join(home.runtime, 'keytool', 'agent.sock') },
  })
  expect({ status, stderr }).toEqual({ status: 0, stderr: expect.any(String) })
  // As its user may have it, beside what is installed.
  const more = join(home.runtime, 'systemd/user', `${UNIT}.d`)
  await mkdir(more, { recursive: true })
  await writeFile(join(more, 'soon.conf'), '[Service]\nRestartSec=3s\n')
  // The agent writes down what it signs meanwhile.
  const apart = [join(home.path, '.local', 'state', 'keytool'), home.runtime]
  const before = await takeSnapshot(home.path, apart)

  expect(await succeed('tunnel', 'install', 'mail')).toBe(
    [
      'ok ~/.config/systemd/user/keytool-tunnel-mail.service  new',
      'ok tunnel mail is started at login by a systemd service, and is started now',
      'log: ~/.local/state/keytool/tunnels/login/mail.log',
      'Next: keytool tunnel status\n',
    ].join('\n'),
  )
  await untilItCarries()
  const first = await property('MainPID')
  const again = JSON.parse(await succeed('tunnel', 'install', 'mail', '--json'))
  expect(again).toMatchObject({ kind: 'systemd', changed: false, written: false, commands: [], held: [], notes: [] })
  expect(await property('MainPID')).toBe(first)

  // Killed while its server is away: both come back.
  const server = { users: [user], port: sshd.port, hostKeyFiles }
  await sshd.stop()
  process.kill(Number(first), 'SIGKILL')
  await until('ActiveState', /^activating$/)
  const verify = ['--user', 'verify', join(home.path, '.config/systemd/user', UNIT)]
  const verified = await runOrThrow(peerPath('systemd-analyze'), verify, { env })
  expect(verified).toMatchObject({ stdout: '', stderr: '' })
  sshd = await startSshd(server)
  await until('MainPID', /^[1-9]/)
  await untilItCarries()
  expect(await property('NRestarts')).toBe('1')

  // Its server alone: it stays, and finds it again.
  const second = await property('MainPID')
  await sshd.stop()
  sshd = await startSshd(server)
  await untilItCarries()
  expect(await property('MainPID')).toBe(second)
  expect(await readFile(`/proc/${second}/status`, 'utf8')).toMatch(/^NoNewPrivs:\t1$/m)

  await manager.systemctl('restart', UNIT)
  await untilItCarries()
  expect(await property('MainPID')).not.toBe(second)

  // Stopped by its user it stays so, until that is taken back.
  await succeed('tunnel', 'stop', 'mail')
  await until('ActiveState', /^inactive$/)
  expect(await succeed('tunnel', 'install', 'mail')).toContain('and is started now')
  await untilItCarries()

  const log = await readFile(join(home.path, '.local/state/keytool/tunnels/login/mail.log'), 'utf8')
  expect(log).toMatch(/ up\b/)
  expect(await succeed('tunnel', 'uninstall', 'mail')).toContain('is not started by a systemd service any more')
  expect(await carry('hello')).toBe('')
  expect(await takeSnapshot(home.path, apart)).toEqual(before)
  expect(await readdir(join(home.path, '.local', 'state', 'keytool'))).not.toContain('tunnels')
  expect((await manager.systemctl('list-unit-files', 'keytool-tunnel-*')).stdout).not.toContain('keytool')
  expect(await succeed('tunnel', 'uninstall', 'mail')).toContain('nothing was changed')
})

test('one that runs already is not cut off, and the next login brings it up by itself', async () => {
  const { status, stderr } = await keytool(['tunnel', '--background', 'mail'], { env })
  expect({ status, stderr }).toEqual({ status: 0, stderr: expect.any(String) })
  expect(await succeed('tunnel', 'install', 'mail')).toContain('goes on until then')
  expect(await property('ActiveState')).toBe('inactive')
  expect(await carry('hello')).toBe('hello')
  await succeed('tunnel', 'stop', 'mail')
  await manager.stop()
  manager = await startUserManager(home.env)
  await until('ActiveState', /^active$/)
  await succeed('tunnel', 'uninstall', 'mail')
  await succeed('agent', 'uninstall')
})
