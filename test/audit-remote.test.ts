import { chmod, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { jest } from '@jest/globals'
import { surveyKeys } from '@keytool/tunnel'
import { type Home, opensshOptions, temporaryHome } from './world/home.js'
import { peerPath } from './world/peers.js'
import { residentKeytool } from './world/resident.js'
import { type RunResult, run, runOrThrow } from './world/run.js'
import { type Sshd, startSshd } from './world/sshd.js'
import { createUser, type SystemUser } from './world/system-user.js'

// `keytool audit --remote`: whose keys get in to two accounts of a real server.

jest.setTimeout(120_000)

let home: Home
let users: [SystemUser, SystemUser]
let sshd: Sshd

beforeAll(async () => {
  home = await temporaryHome()
  users = [await createUser(), await createUser()]
  sshd = await startSshd({ users })
  await writeFile(join(home.ssh, 'known_hosts'), sshd.knownHosts)
  for (const name of ['id_ed25519', 'other', 'colleague', 'ca']) await make(name)
  await make('small', '-t', 'rsa', '-b', '1024')
})
afterAll(async () => {
  await sshd.stop()
  for (const user of users) await user.dispose()
  await home.dispose()
})

const at = (name: string): string => join(name === 'id_ed25519' ? home.ssh : home.path, name)

async function make(name: string, ...more: string[]): Promise<void> {
  const args = ['-q', '-N', '', '-C', `${name}@laptop`, ...(more.length > 0 ? more : ['-t', 'ed25519']), '-f', at(name)]
  await runOrThrow(peerPath('ssh-keygen'), args, { env: home.env })
}

const lineOf = async (name: string) => (await readFile(`${at(name)}.pub`, 'utf8')).trimEnd()
const printOf = async (name: string) =>
  (await runOrThrow(peerPath('ssh-keygen'), ['-l', '-f', `${at(name)}.pub`])).stdout.split(' ')[1] ?? ''

async function authorize(user: SystemUser, ...lines: string[]): Promise<void> {
  await user.authorize('x')
  await writeFile(user.authorizedKeysFile, lines.map(line => `${line}\n`).join(''))
}

const hosts = () => users.map(({ name }) => `${name}@127.0.0.1`)
const audit = (...args: string[]): Promise<RunResult> =>
  residentKeytool(['audit', '--remote', '-p', String(sshd.port), ...args], { env: home.env, cwd: home.path })

interface Host {
  readonly host: string
  readonly state: string
  readonly code: number
  readonly logSince: string | null
  readonly findings: readonly { readonly code: string }[]
  readonly keys: readonly (Record<string, unknown> & { readonly findings: readonly { readonly code: string }[] })[]
}

test('two accounts: whose keys, where, and what is to be said of each', async () => {
  const [mine, other, small, ca] = await Promise.all(['id_ed25519', 'other', 'small', 'ca'].map(lineOf))
  await authorize(
    users[0],
    `from="127.0.0.1" ${mine}`,
    `${other}`,
    `${small}`,
    `command="true" ${other}`,
    `restrict,expiry-time="20200101" ${await lineOf('colleague')}`,
    `cert-authority ${ca}`,
    'ssh-ed25519 AAAAgarbage= x',
    '# nobody',
  )
  await authorize(users[1], `${mine}`, `restrict ${await lineOf('colleague')}`)
  const before = await Promise.all(users.map(user => readFile(user.authorizedKeysFile)))
  const { status, stdout, stderr } = await audit('--json', '--known', at('colleague.pub'), ...hosts())
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
  const [first, second]: Host[] = JSON.parse(stdout)
  expect(first?.keys.map(({ line, findings }) => [line, findings.map(({ code }) => code)])).toEqual([
    [1, []],
    [2, ['unknown', 'unrestricted']],
    [3, ['too-small', 'unknown', 'unrestricted']],
    [4, ['unknown', 'duplicate']],
    [5, ['expired']],
    [6, ['unknown', 'authority']],
    [7, ['unreadable']],
  ])
  expect(first?.keys[0]).toEqual({
    file: '~/.ssh/authorized_keys',
    line: 1,
    type: 'ssh-ed25519',
    bits: 256,
    comment: 'id_ed25519@laptop',
    fingerprint: { sha256: await printOf('id_ed25519'), md5: expect.stringMatching(/^MD5:/) },
    options: 'from="127.0.0.1"',
    heeded: true,
    authority: false,
    owner: '~/.ssh/id_ed25519',
    lastUse: null,
    findings: [],
  })
  expect(second).toMatchObject({
    host: hosts()[1],
    state: 'read',
    code: 0,
    logSince: null,
    keys: [{ owner: '~/.ssh/id_ed25519' }, { owner: 'colleague@laptop', findings: [] }],
  })
  expect(await Promise.all(users.map(user => readFile(user.authorizedKeysFile)))).toEqual(before)
})

test('for people: a block for each key, unknown and never unused where no log can be read', async () => {
  const mine = await lineOf('id_ed25519')
  await authorize(users[0], mine, `${await lineOf('other')}`)
  await authorize(users[1], `restrict ${mine}`)
  const { status, stdout } = await audit('--strict', ...hosts())
  expect(status).toBe(1)
  const [one, two] = hosts()
  expect(stdout.split('\n')).toEqual([
    `${await printOf('id_ed25519')}  256 ED25519  ~/.ssh/id_ed25519`,
    `  ${one}  line 1  unrestricted  last use unknown  id_ed25519@laptop`,
    `  ${two}  line 1  restrict      last use unknown  id_ed25519@laptop`,
    `${await printOf('other')}  256 ED25519  other@laptop`,
    expect.stringMatching(/^ {2}weak: nobody here has this key \(find out whose it is;/),
    `  ${one}  line 2  unrestricted  last use unknown`,
    `${one}  ok 2 keys: 1 weak, 2 notes`,
    `${two}  ok 1 key`,
    '',
  ])
  expect(stdout).not.toMatch(/unused|never/)
})

test('authorized_keys2, which sshd reads, too; modes for which sshd passes over a file', async () => {
  await authorize(users[0], await lineOf('id_ed25519'))
  await authorize(users[1], await lineOf('id_ed25519'))
  const second = join(users[0].home, '.ssh/authorized_keys2')
  await writeFile(second, `${await lineOf('other')}\n`)
  await chmod(second, 0o644)
  const { stdout } = await audit('--json', '--password-file', await passwordOf(users[0]), hosts()[0] ?? '')
  const [first]: Host[] = JSON.parse(stdout)
  expect(first?.keys.map(({ file, line }) => [file, line])).toEqual([
    ['~/.ssh/authorized_keys', 1],
    ['~/.ssh/authorized_keys2', 1],
  ])
  await chmod(users[1].authorizedKeysFile, 0o666)
  const other = await audit('--json', '--password-file', await passwordOf(users[1]), hosts()[1] ?? '')
  expect(JSON.parse(other.stdout)).toMatchObject([{ findings: [{ code: 'writable-by-others' }] }])
  await chmod(users[1].authorizedKeysFile, 0o600)
})

async function passwordOf(user: SystemUser): Promise<string> {
  const file = join(home.path, `password-${user.name}`)
  await writeFile(file, `${user.password}\n`, { mode: 0o600 })
  return file
}

test('a host that can’t be read has its own status, and the others are read', async () => {
  await authorize(users[0], await lineOf('id_ed25519'))
  await authorize(users[1], await lineOf('id_ed25519'))
  await writeFile(users[1].authorizedKeysFile, Buffer.from('\ufeffssh-ed25519 AAAA\n', 'utf16le'))
  const result = await audit('--json', '--password-file', await passwordOf(users[1]), hosts()[1] ?? '')
  expect(result.status).toBe(6)
  const { status, stdout, stderr } = await audit('--json', hosts()[0] ?? '', 'x@nowhere.invalid')
  expect(status).toBe(7)
  expect(JSON.parse(stdout)).toMatchObject([{ state: 'read' }, { state: 'failed', code: 7 }])
  expect(JSON.parse(stderr)).toMatchObject({ error: { code: 'unreachable' } })
})

test('sshd lets in by the lines that are said to be heeded and not over, and by no other', async () => {
  const mine = await lineOf('id_ed25519')
  const options = [
    '',
    'no-pty ',
    'expiry-time="20200101" ',
    'expiry-time="20991231235959Z" ',
    'expiry-time="209912312359" ',
    'expiry-time="20991301" ',
    'expiry-time="2099" ',
    'expiry-time="20991231+01" ',
    'expiry-time="20991231utc",expiry-time="20200101Z" ',
    'no-such-option ',
    'cert-authority ',
  ]
  const ssh = [...opensshOptions(home), '-i', at('id_ed25519'), '-p', String(sshd.port), hosts()[0] ?? '', 'true']
  for (const each of options) {
    await authorize(users[0], `${each}${mine}`)
    const isIn = (await run(peerPath('ssh'), ssh, { env: home.env })).status === 0
    const [line] = await surveyKeys(await readFile(users[0].authorizedKeysFile), { now: new Date() })
    const isSaid = line?.isHeeded === true && !line.isAuthority && !line.findings.some(({ code }) => code === 'expired')
    expect([each, isSaid]).toEqual([each, isIn])
  }
})

test('comments there can’t act on the terminal', async () => {
  await authorize(
    users[0],
    await lineOf('id_ed25519'),
    `${(await lineOf('other')).split('@')[0]}\u001b]0;x\u0007\u202e`,
  )
  const { stdout } = await audit(hosts()[0] ?? '')
  expect(stdout).toContain('other\\u{1b}]0;x\\u{7}\\u{202e}')
  for (const control of ['\u001b', '\u0007', '\u202e']) expect(stdout).not.toContain(control)
})

test('no host: 2; a list of known keys that is not there: 3', async () => {
  expect(await audit()).toMatchObject({ status: 2 })
  expect(await audit('--known', 'none', hosts()[0] ?? '')).toMatchObject({ status: 3 })
})
