import { chmod, chown, copyFile, mkdir, readFile, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { jest } from '@jest/globals'
import { agentsOwn, startOurAgent, takeSnapshot } from './agent-fixture.js'
import { doctor, type Facts, homeWith, makePair, putInOrder } from './doctor-fixture.js'
import { type Folder, temporaryFolder } from './world/folder.js'
import type { Environment, Home } from './world/home.js'
import { peerPath } from './world/peers.js'
import { residentKeytool } from './world/resident.js'
import { keytoolPath, runOrThrow } from './world/run.js'
import { startSshAgent } from './world/ssh-agent.js'
import { type Sshd, startSshd } from './world/sshd.js'
import { changeShell, createUser, type SystemUser } from './world/system-user.js'
import { openTerminal } from './world/terminal.js'

// `keytool doctor` against what keeps a user from getting in, at a real sshd: one fault each, and the one cause that is named.

jest.setTimeout(120_000)

let folder: Folder
let user: SystemUser
let servers: Readonly<Record<'plain' | 'one' | 'elsewhere' | 'password' | 'both' | 'nobody', Sshd>>
/** `right` is in authorized_keys unless said otherwise; `wrong` and `other` are nowhere; `sealed` has a passphrase. */
let lines: Readonly<Record<'right' | 'wrong' | 'other' | 'sealed' | 'authority', string>>

const started: Sshd[] = []
const path = (name: string) => join(folder.path, name)

beforeAll(async () => {
  folder = await temporaryFolder()
  user = await createUser()
  const names = ['right', 'wrong', 'other', 'sealed', 'authority'] as const
  await Promise.all(names.map(name => makePair(path(name), name === 'sealed' ? 'secret' : '')))
  const read = async (name: string) => [name, await readFile(path(`${name}.pub`), 'utf8')]
  lines = Object.fromEntries(await Promise.all(names.map(read)))
  const plain = await startSshd({ users: [user], config: [`TrustedUserCAKeys ${path('authority.pub')}`] })
  const { hostKeyFiles } = plain
  started.push(plain)
  const more = async (...config: string[]) => {
    const server = await startSshd({ users: [user], hostKeyFiles, config })
    started.push(server)
    return server
  }
  const [one, elsewhere, password, both, nobody] = await Promise.all([
    more('MaxAuthTries 1'),
    more(`AuthorizedKeysFile ${path('none')}`),
    more('PubkeyAuthentication no'),
    more('PasswordAuthentication yes', 'AuthenticationMethods publickey,password'),
    more(`DenyUsers ${user.name}`),
  ])
  servers = { plain, one, elsewhere, password, both, nobody }
})

afterAll(async () => {
  await Promise.all(started.map(server => server.stop()))
  await user.dispose()
  await folder.dispose()
})

beforeEach(() => putInOrder(user, lines.right))

/** A key and its public half under a name in ~/.ssh. */
const pair = (name: keyof typeof lines, as = 'id_ed25519') => ({
  [as]: { from: path(name) },
  [`${as}.pub`]: { from: path(`${name}.pub`) },
})

const known = () => ({
  known_hosts: Object.values(servers)
    .map(({ knownHosts }) => knownHosts)
    .join(''),
})

type Files = Parameters<typeof homeWith>[0]

interface Look {
  readonly server?: keyof typeof servers
  readonly args?: readonly string[]
  /** Whether the account's password is at hand. */
  readonly password?: string
  /** The agent that is asked. */
  readonly agent?: (home: Home) => Promise<{ readonly env: Environment; stop(): Promise<void> }>
}

/** Looks from a home with these files. */
async function look(
  files: Files,
  { server = 'plain', args = [], password, agent: startAgent }: Look = {},
): Promise<Facts> {
  const home = await homeWith({ ...known(), ...files, ...(password !== undefined && { password: `${password}\n` }) })
  const agent = await startAgent?.(home)
  try {
    const env = agent?.env ?? home.env
    const secret = password === undefined ? [] : ['--password-file', join(home.ssh, 'password')]
    const own = [home.runtime, ...agentsOwn(home)]
    const here = await takeSnapshot(home.path, own)
    const there = await takeSnapshot(user.home)
    const facts = await doctor(
      home,
      ['-p', String(servers[server].port), ...secret, ...args, `${user.name}@127.0.0.1`],
      env,
    )
    // Whatever was found, nothing was changed, and nobody was asked.
    expect(await takeSnapshot(home.path, own)).toEqual(here)
    expect(await takeSnapshot(user.home)).toEqual(there)
    return facts
  } finally {
    await agent?.stop()
    await home.dispose()
  }
}

const again = (server: keyof typeof servers = 'plain') => `-p ${servers[server].port} ${user.name}@127.0.0.1`

describe('what there is to log in with', () => {
  test('agent-missing: no agent, and no key in a file', async () => {
    expect(await look({})).toMatchObject({
      cause: 'agent-missing',
      status: 7,
      remedy: 'eval "$(keytool agent)" && keytool gen --add',
    })
    // A key whose name nobody looks for.
    expect((await look(pair('right', 'work'))).remedy).toBe('eval "$(keytool agent)" && keytool add ~/.ssh/work')
  })

  test('agent-empty: one that answers, and holds no key', async () => {
    expect(await look(pair('right', 'work'), { agent: startSshAgent })).toMatchObject({
      cause: 'agent-empty',
      status: 5,
      remedy: 'keytool add ~/.ssh/work',
    })
  })

  test('agent-locked', async () => {
    const agent = async (home: Home) => {
      const ours = await startOurAgent(home)
      const { env } = ours
      await residentKeytool(['add', join(home.ssh, 'work')], { env })
      await residentKeytool(['lock', '--passphrase-file', '-'], { env, input: 'secret\n' })
      return ours
    }
    const facts = await look(pair('right', 'work'), { agent })
    expect(facts).toMatchObject({ cause: 'agent-locked', status: 4, remedy: 'keytool unlock' })
  })

  test('key-not-offered: the settings name another, and the password shows nothing else', async () => {
    const config = 'Host 127.0.0.1\n  IdentityFile ~/.ssh/wrong\n  IdentitiesOnly yes\n'
    const facts = await look({ ...pair('right'), ...pair('wrong', 'wrong'), config })
    expect(facts).toMatchObject({ cause: 'key-not-offered', status: 5 })
    expect(facts.remedy).toBe(`keytool connect -i ~/.ssh/id_ed25519 ${again()}`)
    expect(await look(pair('right'), { args: ['-o', 'PubkeyAuthentication=no'] })).toMatchObject({
      cause: 'key-not-offered',
    })
    expect(await look({ ...pair('right'), config: 'IdentityAgent none\nIdentityFile none\n' })).toMatchObject({
      cause: 'key-not-offered',
    })
  })

  test('key-missing: a file that is not there', async () => {
    expect(await look({}, { args: ['-i', join(folder.path, 'nowhere')] })).toMatchObject({
      cause: 'key-missing',
      status: 3,
    })
  })

  test('key-damaged: a file that is no key', async () => {
    const home = await homeWith({ broken: 'hello\n' })
    expect(await look({}, { args: ['-i', join(home.ssh, 'broken')] })).toMatchObject({
      cause: 'key-damaged',
      status: 6,
    })
    await home.dispose()
  })

  test('key-damaged: an empty file under the name that ssh looks for; key-missing: only the other half of it', async () => {
    const { 'id_ed25519.pub': half } = pair('right') as Record<string, { from: string }>
    const files = { 'id_ed25519.pub': half ?? '' }
    expect(await look({ ...files, id_ed25519: '' })).toMatchObject({
      cause: 'key-damaged',
      status: 6,
      remedy: 'keytool inspect ~/.ssh/id_ed25519',
    })
    expect(await look({ ...files, config: 'IdentityFile ~/.ssh/id_ed25519.pub\n' })).toMatchObject({
      cause: 'key-missing',
      status: 3,
      remedy: 'keytool gen -f ~/.ssh/id_ed25519-new',
    })
  })

  test('key-sealed: the server takes it, and nobody gives its passphrase', async () => {
    await putInOrder(user, lines.sealed)
    const facts = await look(pair('sealed'))
    expect(facts).toMatchObject({ cause: 'key-sealed', status: 5, remedy: 'keytool add ~/.ssh/id_ed25519' })
  })

  test('agent-refuses: the server takes it, and whoever is asked to confirm it says no', async () => {
    const agent = async (home: Home) => {
      const env = { ...home.env, SSH_ASKPASS: '/bin/false', SSH_ASKPASS_REQUIRE: 'force' }
      const started = await startSshAgent({ ...home, env })
      await runOrThrow(peerPath('ssh-add'), ['-q', '-c', path('right')], { env: started.env })
      return started
    }
    expect(await look({}, { agent })).toMatchObject({ cause: 'agent-refuses', status: 4 })
  })

  test('too-many-keys: the right one comes too late, and is named', async () => {
    const config = ['wrong', 'other', 'right'].map(name => `IdentityFile ~/.ssh/${name}\n`).join('')
    const files = { ...pair('wrong', 'wrong'), ...pair('other', 'other'), ...pair('right', 'right'), config }
    const facts = await look(files, { server: 'one' })
    expect(facts).toMatchObject({ cause: 'too-many-keys', status: 5 })
    expect(facts.remedy).toBe(`keytool connect -i ~/.ssh/right ${again('one')}`)
    expect(await look(files, { server: 'one', args: ['-i', path('right')] })).toMatchObject({ ok: true })
    // One alone is none too many.
    expect(await look(pair('wrong'), { server: 'one' })).toMatchObject({ cause: 'key-refused' })
  })
})

describe('certificates', () => {
  const sign = async (name: string, ...options: string[]) => {
    await copyFile(path('wrong.pub'), path(`${name}.pub`))
    await runOrThrow(peerPath('ssh-keygen'), [
      '-q',
      '-s',
      path('authority'),
      '-I',
      name,
      ...options,
      path(`${name}.pub`),
    ])
    const config = 'IdentityFile ~/.ssh/id_ed25519\n'
    return { ...pair('wrong'), 'id_ed25519-cert.pub': { from: path(`${name}-cert.pub`) }, config }
  }

  test.each<[string, string, (name: string) => string[]]>([
    ['certificate-expired', 'it expired on 2020-01-02', name => ['-n', name, '-V', '20200101000000Z:20200102000000Z']],
    [
      'certificate-not-yet-valid',
      'it is valid from 2090-01-01',
      name => ['-n', name, '-V', '20900101000000Z:20910102000000Z'],
    ],
    ['certificate-principal', 'it is for somebody', () => ['-n', 'somebody']],
    ['certificate-kind', "it is a host's", name => ['-h', '-n', name]],
  ])('%s', async (cause, said, options) => {
    const facts = await look(await sign(cause, ...options(user.name)))
    expect(facts).toMatchObject({ cause, status: 5, remedy: 'keytool inspect ~/.ssh/id_ed25519-cert.pub' })
    expect(facts.evidence.join('\n')).toContain(said)
  })

  test('a good one gets in, beside a file that ssh_config names or one of a default name', async () => {
    const { config: _, ...files } = await sign('good', '-n', user.name)
    expect(await look({ ...files, config: 'IdentityFile ~/.ssh/id_ed25519\n' })).toMatchObject({ ok: true })
    expect(await look(files)).toMatchObject({ ok: true })
  })
})

describe('what the server does with it', () => {
  const inside = { password: '' }
  beforeAll(() => Object.assign(inside, { password: user.password }))

  test('key-refused: it is not there, seen by password', async () => {
    const facts = await look(pair('wrong'), inside)
    expect(facts).toMatchObject({ cause: 'key-refused', status: 5 })
    expect(facts.remedy).toBe(`keytool install-pubkey -i ~/.ssh/id_ed25519 ${again()}`)
    expect(facts.evidence.join('\n')).toMatch(/~\/\.ssh\/authorized_keys does not hold SHA256:/)
    await putInOrder(user)
    expect(await look(pair('right'), inside)).toMatchObject({ cause: 'key-refused', status: 5 })
  })

  test('key-refused: on a terminal the password is asked for, and why; it is shown nowhere', async () => {
    const home = await homeWith({ ...known(), ...pair('wrong') })
    const args = ['doctor', '-p', String(servers.plain.port), `${user.name}@127.0.0.1`]
    const terminal = await openTerminal([process.execPath, keytoolPath, ...args], { env: home.env, cols: 160 })
    await terminal.waitFor(/with the password it can be seen from inside why/)
    await terminal.waitFor(/password for/)
    await terminal.type(`${user.password}\r`)
    await terminal.waitFor(/key-refused: /)
    expect(await terminal.exitStatus()).toBe(5)
    expect(await terminal.transcript()).not.toContain(user.password)
    await terminal.close()
    await home.dispose()
  })

  test('key-refused: without a way in the remedy is the same', async () => {
    const facts = await look(pair('wrong'))
    expect(facts).toMatchObject({ cause: 'key-refused', status: 5 })
    expect(facts.evidence).toContainEqual(expect.stringContaining('nobody has looked on the server'))
  })

  // By everybody: Debian's sshd lets a group write that is the user's alone, and how many are in this one nobody knows.
  test.each<[string, () => Promise<void>, RegExp, RegExp]>([
    ['the home', () => chmod(user.home, 0o702), /^~ may be written by everybody \(mode 0702\)$/, /^chmod go-w ~$/],
    [
      'the folder',
      () => chmod(dirname(user.authorizedKeysFile), 0o777),
      /^~\/\.ssh may be written/,
      /^chmod go-w ~\/\.ssh$/,
    ],
    [
      'the file',
      () => chmod(user.authorizedKeysFile, 0o602),
      /authorized_keys may be written/,
      /^chmod go-w ~\/\.ssh\/auth/,
    ],
    [
      'an owner',
      () => chown(user.authorizedKeysFile, 1, user.gid).then(() => chmod(user.authorizedKeysFile, 0o644)),
      /belongs to another user/,
      /chown/,
    ],
  ])('permissions: %s', async (_what, change, said, remedy) => {
    await change()
    const facts = await look(pair('right'), inside)
    expect(facts).toMatchObject({ cause: 'permissions', status: 5 })
    expect(facts.evidence.some(text => said.test(text))).toBe(true)
    expect(facts.remedy).toMatch(remedy)
    // sshd's own words beside it.
    expect(facts.evidence.join('\n')).toContain('bad ownership or modes')
  })

  test.each<[string, () => Promise<void>, RegExp, string]>([
    [
      'the file',
      () => chmod(user.authorizedKeysFile, 0),
      /authorized_keys can't be read by its user \(mode 0000\)$/,
      'chmod u+rw ~/.ssh/authorized_keys',
    ],
    [
      'the folder',
      () => chmod(dirname(user.authorizedKeysFile), 0o600),
      /^~\/\.ssh can't be entered by its user \(mode 0600\)$/,
      'chmod u+rwx ~/.ssh',
    ],
  ])('permissions: %s is closed to its own user', async (_what, change, said, remedy) => {
    await change()
    const facts = await look(pair('right'), inside)
    expect(facts).toMatchObject({ cause: 'permissions', status: 5, remedy })
    expect(facts.evidence[0]).toMatch(said)
  })

  test('authorized-keys-path: all is right where the key is, and sshd looks elsewhere', async () => {
    const facts = await look(pair('right'), { ...inside, server: 'elsewhere' })
    expect(facts).toMatchObject({ cause: 'authorized-keys-path', status: 5 })
    expect(facts.remedy).toContain(`sshd -T -C user=${user.name}`)
  })

  test('authorized-keys-unreadable: UTF-16', async () => {
    await putInOrder(user, Buffer.from(`\ufeff${lines.right}`, 'utf16le'))
    expect(await look(pair('right'), inside)).toMatchObject({ cause: 'authorized-keys-unreadable', status: 6 })
  })

  test('authorized-keys-unreadable: a folder in its place', async () => {
    await putInOrder(user, '')
    await rm(user.authorizedKeysFile)
    await mkdir(user.authorizedKeysFile)
    expect(await look(pair('right'), inside)).toMatchObject({
      cause: 'authorized-keys-unreadable',
      status: 6,
      remedy: 'ls -ld ~ ~/.ssh ~/.ssh/authorized_keys',
    })
  })

  test.each([
    ['from="192.0.2.1"', 'is not permitted to use this key'],
    ['expiry-time="20200101"', 'entry expired'],
  ])('key-restricted: %s', async (option, said) => {
    await putInOrder(user, `${option} ${lines.right}`)
    const facts = await look(pair('right'), inside)
    expect(facts).toMatchObject({ cause: 'key-restricted', status: 5 })
    expect(facts.evidence.join('\n')).toContain(said)
  })

  test('another key looks, where no password is there', async () => {
    await putInOrder(user, `expiry-time="20200101" ${lines.wrong}${lines.right}`)
    const facts = await look({ ...pair('right'), ...pair('wrong', 'wrong') }, { args: ['-i', path('wrong')] })
    expect(facts).toMatchObject({ cause: 'key-restricted', status: 5 })
    expect(facts.evidence.join('\n')).toContain('looked at by another key')
  })

  test('password-only', async () => {
    const facts = await look(pair('right'), { server: 'password' })
    expect(facts).toMatchObject({ cause: 'password-only', status: 5, remedy: `keytool connect ${again('password')}` })
  })

  test('second-factor: the key is taken, and not enough', async () => {
    expect(await look(pair('right'), { server: 'both' })).toMatchObject({ cause: 'second-factor', status: 5 })
  })

  test('account-refused: neither the key nor the password', async () => {
    expect(await look(pair('right'), { ...inside, server: 'nobody' })).toMatchObject({
      cause: 'account-refused',
      status: 5,
    })
  })

  test('a command that the key has of its own is not run', async () => {
    const ran = join(user.home, 'ran')
    await putInOrder(user, `command="touch ${ran}" ${lines.right}`)
    const facts = await look(pair('right'))
    expect(facts).toMatchObject({ ok: true, status: 0 })
    expect(facts.steps.at(-1)?.text).toContain('a command of its own')
  })

  test('no-shell: an account of nologin', async () => {
    await changeShell(user, '/usr/sbin/nologin')
    const facts = await look(pair('right')).finally(() => changeShell(user, '/bin/sh'))
    expect(facts).toMatchObject({ cause: 'no-shell', status: 4 })
    expect(facts.evidence.join('\n')).toContain('not available')
    // Forwards need none.
  })
})
