import { readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { jest } from '@jest/globals'
import { makeKey } from './agent-hosts.js'
import { eventually, openTunnelWorld, type TunnelWorld } from './tunnel-cli-fixture.js'
import type { Environment } from './world/home.js'
import { newestServers } from './world/newest-sshd.js'
import { peerPath } from './world/peers.js'
import { residentKeytool } from './world/resident.js'
import { type RunResult, run, runOrThrow } from './world/run.js'
import { type Sshd, startSshd } from './world/sshd.js'

// What ssh_config forbids: held against what ssh itself does with the same lines, at the same server.

jest.setTimeout(120_000)

let world: TunnelWorld
/** Takes a password in both ways. */
let asking: Sshd
/** Has every algorithm, and says which ones were agreed on. */
let telling: Sshd
let askpass: string
const at = (name: string) => join(world.home.path, name)

beforeAll(async () => {
  world = await openTunnelWorld({ config: ['LogLevel DEBUG1'] })
  telling = world.sshd
  // Only PAM has questions of its own.
  asking = await startSshd({
    users: [world.user],
    config: ['UsePAM yes', 'KbdInteractiveAuthentication yes'],
    hostKeyFiles: telling.hostKeyFiles,
  })
  askpass = at('askpass')
  const script = `#!/bin/sh\necho "$1" >>${at('asked')}\necho '${world.user.password}'\n`
  await writeFile(askpass, script, { mode: 0o700 })
  await knowAll()
})

afterAll(async () => {
  await asking?.stop()
  await world?.dispose()
})

const knownHosts = () => join(world.home.ssh, 'known_hosts')
const knowAll = () => writeFile(knownHosts(), `${telling.knownHosts}${asking.knownHosts}`)

interface Line {
  readonly sshd: Sshd
  readonly options?: readonly string[]
  readonly command?: string
  readonly env?: Environment
}

const wordsOf = ({ sshd, options = [] }: Line) => [
  ...options.flatMap(option => ['-o', option]),
  ...['-p', String(sshd.port), `${world.user.name}@127.0.0.1`],
]

function ssh(line: Line): Promise<RunResult> {
  const { command = 'true', env = {} } = line
  // ssh looks in the home that passwd names.
  const files = [`UserKnownHostsFile=${knownHosts()}`, 'GlobalKnownHostsFile=none', 'UpdateHostKeys=no']
  const keys = [`IdentityFile=${join(world.home.ssh, 'id_ed25519')}`, 'IdentityAgent=none', 'StrictHostKeyChecking=yes']
  const more = [...files, ...keys].flatMap(option => ['-o', option])
  const words = wordsOf(line)
  return run(peerPath('ssh'), ['-F', 'none', ...words.slice(0, -1), ...more, ...words.slice(-1), command], {
    env: { ...world.env, ...env },
  })
}

function ours(line: Line): Promise<RunResult> {
  const { command = 'true', env = {} } = line
  return residentKeytool(['connect', ...wordsOf(line), command], {
    env: { ...world.env, ...env },
    cwd: world.home.path,
  })
}

/** Who came to the server since it had logged so much; of those before it may say later that they went. */
const comersSince = (size: number) =>
  telling
    .log()
    .slice(size)
    .match(/Connection from .*/g)

describe('ways to log in', () => {
  const rows: readonly (readonly [isIn: boolean, ...options: string[]])[] = [
    [true],
    [true, 'PasswordAuthentication=no'],
    [true, 'KbdInteractiveAuthentication=no'],
    [false, 'PasswordAuthentication=no', 'KbdInteractiveAuthentication=no'],
    [false, 'PreferredAuthentications=publickey'],
    [true, 'PreferredAuthentications=password'],
    [true, 'PreferredAuthentications=password,keyboard-interactive'],
    [false, 'PreferredAuthentications=none,hostbased'],
    [false, 'PreferredAuthentications=keyboard-interactive', 'KbdInteractiveAuthentication=no'],
    [false, 'BatchMode=yes'],
    [false, 'NumberOfPasswordPrompts=0'],
  ]

  /** By what it was let in, if at all, and how often somebody was asked. */
  async function tell(work: (line: Line) => Promise<RunResult>, options: readonly string[]) {
    const before = asking.log().length
    await rm(at('asked'), { force: true })
    const env = { SSH_ASKPASS: askpass, SSH_ASKPASS_REQUIRE: 'force' }
    const { status } = await work({ sshd: asking, options: ['PubkeyAuthentication=no', ...options], env })
    const asked = await readFile(at('asked'), 'utf8').catch(() => '')
    const accepted = async () => /^Accepted (\S+) for/m.exec(asking.log().slice(before))?.[1]
    // sshd says so once it has answered.
    const method = status === 0 ? await eventually(accepted, text => text !== undefined) : await accepted()
    return { isIn: status === 0, method, asked: asked.split('\n').length - 1 }
  }

  test.each(rows.map(([isIn, ...options]) => ({ isIn, options })))('$options: as ssh', async ({ isIn, options }) => {
    const found = await tell(ours, options)
    expect(found).toEqual(await tell(ssh, options))
    expect(found.isIn).toBe(isIn)
  })

  test('who is not let in hears which setting it was, and what to type', async () => {
    const options = ['PasswordAuthentication=no', 'PreferredAuthentications=password']
    const { status, stderr } = await ours({ sshd: asking, options })
    expect(status).toBe(5)
    expect(stderr).toContain('ssh_config leaves out publickey, password, keyboard-interactive\n')
    const [, hint = ''] = /to allow it once: (.*)$/m.exec(stderr) ?? []
    expect(hint).toBe('-o PubkeyAuthentication=yes -o PreferredAuthentications=publickey')
  })

  test('a password in a file is not given, either', async () => {
    await writeFile(at('password'), `${world.user.password}\n`)
    const options = ['-o', 'PreferredAuthentications=publickey', '-o', 'PubkeyAuthentication=no']
    const words = ['connect', '--password-file', at('password'), ...options, ...wordsOf({ sshd: asking }), 'true']
    const before = asking.log().length
    expect(await world.ours(...words)).toMatchObject({ status: 5 })
    expect(asking.log().slice(before)).not.toMatch(/password/)
  })
})

describe('RevokedHostKeys', () => {
  const line = (value: string) => ({ sshd: telling, options: [`RevokedHostKeys=${value}`] })

  test('a file with one key a line, one that is not there, a revocation list: as ssh', async () => {
    const revoke = (name: string, ...keys: string[]) => writeFile(at(name), `# no more\n\n${keys.join('')}`)
    const own = await readFile(`${telling.hostKeyFiles.ed25519}.pub`, 'utf8')
    await revoke('other', await readFile(join(world.home.ssh, 'id_ed25519.pub'), 'utf8'))
    await revoke('own', own)
    await runOrThrow(peerPath('ssh-keygen'), ['-q', '-k', '-f', at('krl'), `${telling.hostKeyFiles.ed25519}.pub`])
    const rows: readonly (readonly [string, number, RegExp])[] = [
      [at('other'), 0, /^$/],
      [at('own'), 8, /is revoked\n {2}revoked SHA256:\S+ {2}\(~\/own line 3\)/],
      [at('nowhere'), 4, /no host key is accepted: ~\/nowhere can't be read/],
      [at('krl'), 6, /~\/krl is a key revocation list/],
      ['none', 0, /^$/],
    ]
    for (const [value, status, says] of rows) {
      const result = await ours(line(value))
      expect({ value, status: result.status, stderr: result.stderr }).toEqual({
        value,
        status,
        stderr: expect.stringMatching(says),
      })
      expect({ value, isIn: (await ssh(line(value))).status === 0 }).toEqual({ value, isIn: status === 0 })
    }
  })
})

describe('RequiredRSASize', () => {
  test.each([
    ['of the host', ['HostKeyAlgorithms=rsa-sha2-512'], 4],
    ['of the user', ['IdentitiesOnly=yes'], 5],
  ] as const)('an RSA key %s that is shorter is not used', async (_whose, options, refused) => {
    const key = join(world.home.ssh, 'short')
    await rm(key, { force: true })
    await rm(`${key}.pub`, { force: true })
    await makeKey(key, '-t', 'rsa', '-b', '2048')
    await world.user.authorize(await readFile(`${key}.pub`, 'utf8'))
    const line = (size: number) => ({
      sshd: telling,
      options: [...options, `IdentityFile=${key}`, 'BatchMode=yes', `RequiredRSASize=${size}`],
    })
    expect(await ours(line(2048))).toMatchObject({ status: 0, stderr: '' })
    expect(await ours(line(2049))).toMatchObject({
      status: refused,
      stderr: expect.stringContaining('RequiredRSASize'),
    })
    if (refused === 4) expect((await ssh(line(2049))).status).toBe(255)
  })
})

describe('lists of algorithms', () => {
  /** What was agreed on, as sshd saw it. */
  async function agreed(sshd: Pick<Sshd, 'log'>, work: () => Promise<RunResult>): Promise<string[]> {
    const before = sshd.log().length
    const { status, stderr } = await work()
    if (status !== 0) return [`ended with ${status}: ${stderr}`]
    const pattern = /kex: (?:(?:host key )?algorithm: (\S+)|client->server cipher: (\S+) MAC: (\S+))/g
    return [...sshd.log().slice(before).matchAll(pattern)].flatMap(match => match.slice(1).filter(Boolean))
  }

  const rows: readonly { options: readonly string[]; behind?: readonly string[] }[] = [
    { options: ['Ciphers=aes256-ctr', 'MACs=hmac-sha2-512'] },
    { options: ['Ciphers=^aes256-gcm@openssh.com'] },
    { options: ['Ciphers=-*-gcm*,chacha20*', 'MACs=hmac-sha2-256'] },
    { options: ['Ciphers=chacha20-poly1305@openssh.com', 'KexAlgorithms=ecdh-sha2-nistp384,curve25519-sha256'] },
    { options: ['Ciphers=aes128-ctr', 'MACs=^hmac-sha2-512', 'KexAlgorithms=^ecdh-sha2-nistp521'] },
    { options: ['Ciphers=aes128-ctr', 'MACs=-*-etm*,umac*,hmac-sha1', 'KexAlgorithms=diffie-hellman-group16-sha512'] },
    { options: ['Ciphers=aes128-ctr', 'MACs=hmac-sha2-256', 'HostKeyAlgorithms=rsa-sha2-256,ssh-ed25519'] },
    { options: ['Ciphers=aes128-ctr', 'MACs=hmac-sha2-256', 'HostKeyAlgorithms=^ecdsa-sha2-nistp256'] },
    { options: ['Ciphers=aes128-ctr', 'MACs=hmac-sha2-256', 'HostKeyAlgorithms=-ssh-ed25519'] },
    // Other than ssh: a name that nobody has is passed over, and weak ones come last wherever they stand.
    {
      options: ['Ciphers=no-such-cipher,aes192-ctr,aes256-ctr', 'MACs=hmac-sha1,hmac-sha2-256'],
      behind: ['ssh-ed25519', 'aes192-ctr', 'hmac-sha2-256'],
    },
  ]

  test.each(rows)('$options', async ({ options, behind }) => {
    // Of what is not listed the two have other defaults.
    const kex = options.some(option => option.startsWith('Kex')) ? [] : ['KexAlgorithms=curve25519-sha256']
    const line = { sshd: telling, options: [...options, ...kex] }
    const found = await agreed(telling, () => ours(line))
    if (behind) expect(found.slice(1)).toEqual(behind)
    else expect(found).toEqual(await agreed(telling, () => ssh(line)))
  })

  test('one that leaves nothing, or not what the server has: nothing is said to it that it could take for a yes', async () => {
    const before = telling.log().length
    const empty = await ours({ sshd: telling, options: ['Ciphers=no-such-cipher'] })
    expect(empty).toMatchObject({
      status: 6,
      stderr: expect.stringContaining('Ciphers no-such-cipher leaves no algorithm'),
    })
    expect(comersSince(before)).toBeNull()
    const few = await startSshd({
      users: [world.user],
      config: ['Ciphers aes128-ctr'],
      hostKeyFiles: telling.hostKeyFiles,
    })
    try {
      await writeFile(knownHosts(), few.knownHosts)
      const options = ['Ciphers=aes256-gcm@openssh.com']
      expect((await ssh({ sshd: few, options })).status).toBe(255)
      const { status, stderr } = await ours({ sshd: few, options })
      expect(status).toBe(6)
      expect(stderr).toMatch(/lists in ssh_config leave out what it has: add -o Ciphers=\+aes128-ctr$/m)
      expect(await ours({ sshd: few, options: ['Ciphers=+aes128-ctr'] })).toMatchObject({ status: 0, stderr: '' })
    } finally {
      await few.stop()
      await knowAll()
    }
  })

  test.each(newestServers().slice(0, 1))(
    'the key exchange that only we have, at $name: alone, behind another, left out',
    async suite => {
      const key = (await readFile(join(world.home.ssh, 'id_ed25519.pub'), 'utf8')).trim()
      const server = await suite.startSshd([key], ['LogLevel DEBUG1'])
      try {
        await writeFile(knownHosts(), server.knownHosts)
        const kex = (list: string) => () =>
          world.ours('connect', '-o', `KexAlgorithms=${list}`, '-p', String(server.port), 'root@127.0.0.1', 'true')
        const hybrid = 'mlkem768x25519-sha256'
        const rows = [
          [hybrid, hybrid],
          [`${hybrid},ecdh-sha2-nistp256`, hybrid],
          [`ecdh-sha2-nistp256,${hybrid}`, 'ecdh-sha2-nistp256'],
          ['-mlkem*', 'curve25519-sha256'],
        ] as const
        for (const [list, expected] of rows) {
          expect([list, (await agreed(server, kex(list)))[0]]).toEqual([list, expected])
        }
      } finally {
        await server.stop()
        await knowAll()
      }
    },
  )
})

test.each(['KnownHostsCommand=/bin/true', 'CheckHostIP=yes'])(
  '%s, which is not done here, is no reason to check less: the server is left alone',
  async option => {
    const before = telling.log().length
    const { status, stderr } = await ours({ sshd: telling, options: [option] })
    expect({ status, comers: comersSince(before) }).toEqual({ status: 6, comers: null })
    expect(stderr).toMatch(/is not done here \(-o "/)
    await writeFile(join(world.home.ssh, 'config'), `Host elsewhere\n  ${option}\nHost 127.0.0.1\n  ${option}\n`)
    try {
      expect((await ours({ sshd: telling })).stderr).toMatch(/is not done here \(~\/\.ssh\/config line 4\)/)
      const off = option.replace(/=.*/, option.startsWith('Check') ? '=no' : '=none')
      expect(await ours({ sshd: telling, options: [off] })).toMatchObject({ status: 0, stderr: '' })
    } finally {
      await rm(join(world.home.ssh, 'config'))
    }
  },
)

describe('UpdateHostKeys', () => {
  // Long enough for the server to say which keys it has, and prove them.
  const command = 'sleep 0.5'
  const first = (text: string) => `${text.split('\n')[0]}\n`
  const linesIn = async (file: string) => (await readFile(file, 'utf8')).trim().split('\n').length

  /** Stays logged in until the file has so many lines. */
  async function oursUntil(file: string, count: number, options: readonly string[] = []): Promise<RunResult> {
    const sign = join(world.user.home, 'enough')
    await rm(sign, { force: true })
    const waiting = 'for i in $(seq 400); do [ -e enough ] && exit 0; sleep 0.05; done; exit 1'
    const [result] = await Promise.all([
      ours({ sshd: telling, command: waiting, options }),
      eventually(
        () => linesIn(file),
        found => found === count,
        15_000,
      ).finally(() => writeFile(sign, '')),
    ])
    return result
  }

  test('the usual file follows the server, and that it was changed is said', async () => {
    await writeFile(knownHosts(), first(telling.knownHosts))
    try {
      const { status, stderr } = await oursUntil(knownHosts(), 3)
      expect({ status, stderr }).toEqual({
        status: 0,
        stderr: expect.stringMatching(/^127\.0\.0\.1 has new host keys, noted: SHA256:\S+, SHA256:\S+\n$/),
      })
    } finally {
      await knowAll()
    }
  })

  test('another file stays as it is unless yes is said, as with ssh; nor with VerifyHostKeyDNS', async () => {
    const file = at('own-hosts')
    const own = [`UserKnownHostsFile=${file}`]
    await writeFile(file, first(telling.knownHosts))
    expect(await ours({ sshd: telling, command, options: own })).toMatchObject({ status: 0 })
    expect(await linesIn(file)).toBe(1)
    expect(await oursUntil(file, 3, [...own, 'UpdateHostKeys=yes'])).toMatchObject({ status: 0 })
    await writeFile(knownHosts(), first(telling.knownHosts))
    expect(await ours({ sshd: telling, command, options: ['VerifyHostKeyDNS=ask'] })).toMatchObject({
      status: 0,
      stderr: '',
    })
    expect(await readFile(knownHosts(), 'utf8')).toBe(first(telling.knownHosts))
    await knowAll()
  })
})

test('an agent that falls silent when it is told the host is left out, and the login goes on', async () => {
  const socket = at('silent')
  // It answers to what it holds: nothing.
  const server = createServer(client => {
    client.on('error', () => {})
    client.on('data', data => {
      if (data[4] === 11) client.write(Buffer.from([0, 0, 0, 5, 12, 0, 0, 0, 0]))
    })
  }).listen(socket)
  try {
    const { status, stderr } = await ours({ sshd: telling, env: { SSH_AUTH_SOCK: socket } })
    expect({ status, stderr }).toEqual({
      status: 0,
      stderr: 'the agent at ~/silent does not answer: its keys are left out\n',
    })
  } finally {
    server.close()
  }
})
