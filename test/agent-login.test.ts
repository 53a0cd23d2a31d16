import { readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { jest } from '@jest/globals'
import { type OurAgent, startOurAgent } from './agent-fixture.js'
import { type Environment, type Home, opensshOptions, temporaryHome } from './world/home.js'
import { peerPath } from './world/peers.js'
import { logInWithPython } from './world/python-login.js'
import { residentKeytool } from './world/resident.js'
import { type RunResult, run, runOrThrow } from './world/run.js'
import { type Sshd, startSshd } from './world/sshd.js'
import { createUser, type SystemUser } from './world/system-user.js'

// Every client logs in to a real sshd with every type of key, out of our agent alone: the key's files are gone by then.

jest.setTimeout(120_000)

let home: Home
let user: SystemUser
let sshd: Sshd
let agent: OurAgent

beforeAll(async () => {
  home = await temporaryHome()
  user = await createUser()
  sshd = await startSshd({ users: [user], passwordUsers: [] })
  await writeFile(join(home.ssh, 'known_hosts'), sshd.knownHosts)
  agent = await startOurAgent(home)
})

afterAll(async () => {
  await sshd.stop()
  await user.dispose()
  await agent.stop()
  await home.dispose()
})

afterEach(() => succeed(['remove', '--all']))

const command = 'echo "in as $USER"; exit 9'

/** Each logs in with what the agent holds, runs the command, and ends with its status. */
const clients: Readonly<Record<string, (env: Environment) => Promise<RunResult>>> = {
  ssh(env) {
    const options = [...opensshOptions(home), '-o', 'IdentitiesOnly=no', '-o', 'PreferredAuthentications=publickey']
    return run(peerPath('ssh'), [...options, '-p', String(sshd.port), `${user.name}@${sshd.host}`, command], { env })
  },
  plink(env) {
    const hostKeys = Object.values(sshd.fingerprints).flatMap(fingerprint => ['-hostkey', fingerprint])
    const args = ['-ssh', '-batch', '-agent', '-no-trivial-auth', ...hostKeys, '-P', String(sshd.port)]
    return run(peerPath('plink'), [...args, `${user.name}@${sshd.host}`, command], { env })
  },
  paramiko: env => logInWithPython('paramiko', target(), env),
  asyncssh: env => logInWithPython('asyncssh', target(), env),
  libssh: env => logInWithPython('libssh', target(), env),
}

function target() {
  const line = sshd.knownHosts.split('\n').find(each => each.includes('ed25519')) ?? ''
  return { host: sshd.host, port: sshd.port, user: user.name, command, hostKey: line.replace(/^\S+ /, '') }
}

function logInWithAll(env: Environment): Promise<[string, RunResult][]> {
  return Promise.all(
    Object.entries(clients).map(async ([name, logIn]) => [name, await logIn(env)] as [string, RunResult]),
  )
}

const passphrase = 'correct horse\tbattery "staple"'

interface Maker {
  /** Makes the pair at a path and loads the private half. */
  make(path: string): Promise<void>
}

/** Made and loaded with our own commands. */
function ours(type: string, ...more: string[]): Maker {
  return {
    async make(path) {
      const secret = join(home.path, 'passphrase')
      await writeFile(secret, `${passphrase}\n`, { mode: 0o600 })
      const encrypted = more.includes('encrypted')
      const protection = encrypted ? ['--passphrase-file', secret] : ['--no-passphrase']
      const options = more.filter(each => each !== 'encrypted')
      await succeed(['gen', '-t', type, ...options, '-f', path, ...protection])
      await succeed(['add', path, ...(encrypted ? protection : [])])
      await rm(secret)
    },
  }
}

/** Made and loaded with OpenSSH's. */
function theirs(type: string, bits?: number): Maker {
  return {
    async make(path) {
      const size = bits === undefined ? [] : ['-b', String(bits)]
      await runOrThrow(peerPath('ssh-keygen'), ['-q', '-t', type, ...size, '-N', '', '-C', 'theirs', '-f', path])
      await runOrThrow(peerPath('ssh-add'), ['-q', path], { env: agent.env })
    },
  }
}

async function succeed(args: string[]): Promise<void> {
  const { status, stderr } = await residentKeytool(args, { env: agent.env })
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
}

const keys: Readonly<Record<string, Maker>> = {
  'ed25519 of ours, with a passphrase': ours('ed25519', 'encrypted'),
  'ecdsa-256 of ours': ours('ecdsa-256'),
  'ecdsa-384 of ours, a PPK': ours('ecdsa-384', '--format', 'ppk'),
  'ecdsa-521 of ours, a PPK with a passphrase': ours('ecdsa-521', '--format', 'ppk', 'encrypted'),
  'rsa 2048 of ours': ours('rsa', '-b', '2048'),
  'rsa 3072 of ours, with a passphrase': ours('rsa', 'encrypted'),
  'ed25519 of ssh-keygen': theirs('ed25519'),
  'ecdsa-256 of ssh-keygen': theirs('ecdsa', 256),
  'ecdsa-384 of ssh-keygen': theirs('ecdsa', 384),
  'ecdsa-521 of ssh-keygen': theirs('ecdsa', 521),
  'rsa 2048 of ssh-keygen': theirs('rsa', 2048),
  'rsa 3072 of ssh-keygen': theirs('rsa', 3072),
}

test.each(Object.entries(keys))(
  'ssh, plink, paramiko, asyncssh and libssh log in with %s, from our agent alone',
  async (_, { make }) => {
    const path = join(home.ssh, 'id')
    await make(path)
    const line = await readFile(`${path}.pub`, 'utf8')
    const fingerprint =
      (await runOrThrow(peerPath('ssh-keygen'), ['-l', '-f', `${path}.pub`])).stdout.split(' ')[1] ?? ''
    await rm(path)
    await rm(`${path}.pub`)
    await rm(user.authorizedKeysFile, { force: true })
    await user.authorize(line)

    for (const [name, { status, stdout, stderr }] of await logInWithAll(agent.env)) {
      expect({ name, status, stdout, stderr }).toEqual({
        name,
        status: 9,
        stdout: `in as ${user.name}\n`,
        stderr: '',
      })
    }
    const accepted = sshd
      .log()
      .split('\n')
      .filter(each => each.includes('Accepted publickey') && each.trimEnd().endsWith(fingerprint))
    expect(accepted).toHaveLength(Object.keys(clients).length)

    // The same without the key: nothing but the agent had let them in.
    await succeed(['remove', fingerprint])
    for (const [name, { status, stdout }] of await logInWithAll(agent.env)) {
      expect({ name, stdout }).toEqual({ name, stdout: '' })
      expect([0, 9]).not.toContain(status)
    }
  },
)

test('none of them logs in without SSH_AUTH_SOCK', async () => {
  const path = join(home.ssh, 'id')
  await ours('ed25519').make(path)
  await user.authorize(await readFile(`${path}.pub`, 'utf8'))
  await rm(path)
  expect((await logInWithAll(agent.env)).map(([, { status }]) => status)).toEqual([9, 9, 9, 9, 9])
  for (const [name, { status, stdout }] of await logInWithAll(home.env)) {
    expect({ name, stdout }).toEqual({ name, stdout: '' })
    expect([0, 9]).not.toContain(status)
  }
})
