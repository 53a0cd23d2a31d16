import { chmod, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { jest } from '@jest/globals'
import { type PublicKey, readPublicLines } from '@keytool/keygen'
import { RotationStore } from '@keytool/tunnel'
import { makeKey } from './agent-hosts.js'
import { openRotateWorld, type RotateWorld } from './rotate-world.js'
import type { RunResult } from './world/run.js'
import { startSshd } from './world/sshd.js'
import type { SystemUser } from './world/system-user.js'

// `keytool rotate` as a user runs it, against OpenSSH's server and its real accounts.

jest.setTimeout(120_000)

let world: RotateWorld
let one: SystemUser
let two: SystemUser

beforeAll(async () => {
  world = await openRotateWorld(2)
  ;[one, two] = world.users as [SystemUser, SystemUser]
})

afterAll(() => world.dispose())

beforeEach(async () => {
  for (const user of world.users) await world.write(user, `# mine\n${world.oldLine}\n# end\n`)
  for (const folder of ['.local', '.config']) await rm(join(world.home.path, folder), { recursive: true, force: true })
})

const rotations = () => readdir(join(world.home.path, '.local', 'state', 'keytool', 'rotations')).catch(() => [])
const rotate = (...args: string[]): Promise<RunResult> => world.ours(['rotate', ...args])
const pair = () => [world.old, world.new]
const both = () => [world.wordOf(one), world.wordOf(two)]
const facts = (result: RunResult) => JSON.parse(result.stdout) as { state: string; code: number; detail: string }[]

test('the new key stands where the old one stood, alone; OpenSSH agrees; --rollback puts all back', async () => {
  const options = 'no-pty,environment="A=\\"b c\\""'
  await world.write(two, `${options} ${world.oldLine}\r\n# end`)
  const result = await rotate(...pair(), ...both())
  expect(result).toMatchObject({ status: 0, stderr: '' })
  const said = 'ok new key in ~/.ssh/authorized_keys, verified; old key out, refused'
  expect(result.stdout).toBe(
    both()
      .map(word => `${word}  ${said}\n`)
      .join(''),
  )
  expect(await world.read(one)).toBe(`# mine\n${world.newLine}\n# end\n`)
  expect(await world.read(two)).toBe(`${options} ${world.newLine}\r\n# end`)
  for (const user of world.users) {
    expect([await world.logsIn(user, world.new), await world.logsIn(user, world.old)]).toEqual([true, false])
  }
  // The same once more looks again, and changes nothing.
  expect(await rotate(...pair(), ...both())).toMatchObject({ status: 0, stderr: '' })
  expect(await rotate('--resume')).toMatchObject({
    status: 0,
    stderr: expect.stringContaining('nothing is left to be done'),
  })
  const back = await rotate('--rollback', '--json')
  expect(facts(back).map(({ state, code }) => [state, code])).toEqual([
    ['rolled-back', 0],
    ['rolled-back', 0],
  ])
  expect(await world.read(one)).toBe(`# mine\n${world.oldLine}\n# end\n`)
  expect(await world.read(two)).toBe(`${options} ${world.oldLine}\r\n# end`)
  for (const user of world.users) {
    expect([await world.logsIn(user, world.new), await world.logsIn(user, world.old)]).toEqual([false, true])
  }
  expect(await rotations()).toEqual([])
  expect(await rotate('--rollback')).toMatchObject({ status: 3 })
})

test('--dry-run shows what would be, and writes nothing anywhere', async () => {
  const files = await readdir(world.home.path, { recursive: true })
  const result = await rotate('--dry-run', ...pair(), ...both())
  expect(result).toMatchObject({ status: 0, stderr: '' })
  expect(result.stdout).toContain('the old key is in ~/.ssh/authorized_keys line 2; the new key would be put below it')
  expect(await world.read(one)).toContain(world.oldLine)
  expect(await world.read(one)).not.toContain(world.newLine)
  expect(await readdir(world.home.path, { recursive: true })).toEqual(files)
})

/** How often anybody came. Of those who leave the server may go on to speak for a while. */
const visits = () => world.sshd.log().match(/^Connection from /gm)?.length ?? 0

describe('refused before any host hears of it', () => {
  test('one key twice 2, keys or hosts missing 2, ways that exclude each other 2', async () => {
    const before = visits()
    const lines = [
      [world.old, world.old, world.wordOf(one)],
      [world.old, `${world.old}.pub`, world.wordOf(one)],
      [world.old],
      [],
      pair(),
      ['--resume', '--rollback', ...pair()],
      ['--dry-run', '--resume', ...pair()],
      [...pair(), '-oProxyCommand=touch x'],
      [...pair(), `$(touch x)@127.0.0.1`],
    ]
    for (const line of lines) expect(await rotate(...line)).toMatchObject({ status: 2, stdout: '' })
    expect(visits()).toBe(before)
  })

  test('a key that is missing 3, one without its private half 3, a file that is none 6', async () => {
    const before = visits()
    const alone = join(world.home.path, 'alone.pub')
    const other = join(world.home.ssh, 'id_other')
    await makeKey(other)
    await rename(`${other}.pub`, alone)
    expect(await rotate(world.old, join(world.home.path, 'none'), world.wordOf(one))).toMatchObject({ status: 3 })
    const result = await rotate(world.old, alone, world.wordOf(one))
    expect(result).toMatchObject({ status: 3, stderr: expect.stringContaining('the private half of NEW is not here') })
    await writeFile(join(world.home.path, 'text'), 'hello')
    expect(await rotate(world.old, join(world.home.path, 'text'), world.wordOf(one))).toMatchObject({ status: 6 })
    expect(visits()).toBe(before)
    expect(await rotations()).toEqual([])
  })
})

test('a folder of journals that others may write: 4, nobody is asked, and nothing is changed', async () => {
  const folder = join(world.home.path, '.local', 'state', 'keytool', 'rotations')
  expect(await rotate(...pair(), 'nowhere.invalid')).toMatchObject({ status: 7 })
  await chmod(folder, 0o777)
  for (const line of [[...pair(), ...both()], ['--resume'], ['--rollback']]) {
    expect(await rotate(...line)).toMatchObject({ status: 4, stderr: expect.stringContaining('others may write it') })
  }
  expect(await world.read(one)).toBe(`# mine\n${world.oldLine}\n# end\n`)
})

test('hosts that can’t be done have their code and leave the others alone', async () => {
  await world.write(two, `restrict ${world.oldLine}\n${world.newLine}\n`)
  const [first, second, third] = facts(await rotate('--json', ...pair(), ...both(), 'x@nowhere.invalid'))
  expect(first).toMatchObject({ state: 'done', code: 0 })
  expect(second).toMatchObject({ state: 'failed', code: 4 })
  expect(second?.detail).toContain('the new key is there already, but without options: line 2')
  expect(third).toMatchObject({ state: 'failed', code: 7 })
  expect(await world.read(two)).toBe(`restrict ${world.oldLine}\n${world.newLine}\n`)
  // Once it is mended, the rest is gone on with.
  await world.write(two, `restrict ${world.oldLine}\n`)
  const rest = facts(await rotate('--resume', '--json', ...pair()))
  expect(rest.map(({ state, code }) => [state, code])).toEqual([
    ['done', 0],
    ['failed', 7],
  ])
  expect(await world.read(two)).toBe(`restrict ${world.newLine}\n`)
})

test('the old key is not there: 3, nothing changed; only the new one is: it is proved', async () => {
  const other = join(world.home.ssh, 'id_third')
  await makeKey(other)
  const third = (await readFile(`${other}.pub`, 'utf8')).trim()
  await world.write(one, `${third}\n`)
  await world.write(two, `${world.newLine}\n`)
  const [first, second] = facts(await rotate('--json', '-i', other, ...pair(), ...both()))
  expect(first).toMatchObject({ state: 'failed', code: 3 })
  expect(second).toMatchObject({ state: 'done', code: 0, detail: 'new key verified, old key refused' })
  expect([await world.read(one), await world.read(two)]).toEqual([`${third}\n`, `${world.newLine}\n`])
})

test('a forced command: the file is reached by another key, and both keep the command', async () => {
  const other = join(world.home.ssh, 'id_fourth')
  await makeKey(other)
  const fourth = (await readFile(`${other}.pub`, 'utf8')).trim()
  const text = `command="echo forced" ${world.oldLine}\n${fourth}\n`
  await world.write(one, text)
  expect(await rotate(...pair(), world.wordOf(one))).toMatchObject({ status: 6 })
  expect(await world.read(one)).toBe(text)
  expect(await rotate('-i', other, ...pair(), world.wordOf(one))).toMatchObject({ status: 0, stderr: '' })
  expect(await world.read(one)).toBe(`command="echo forced" ${world.newLine}\n${fourth}\n`)
})

test('a new key that the server does not take never removes the old one; --rollback takes it out', async () => {
  const curve = join(world.home.ssh, 'id_curve')
  await world.ours(['gen', '-t', 'ecdsa-256', '--no-passphrase', '-f', curve])
  const sshd = await startSshd({
    users: world.users,
    hostKeyFiles: world.sshd.hostKeyFiles,
    config: ['PubkeyAcceptedAlgorithms ssh-ed25519'],
  })
  try {
    await writeFile(join(world.home.ssh, 'known_hosts'), world.sshd.knownHosts + sshd.knownHosts)
    const word = `ssh://${one.name}@127.0.0.1:${sshd.port}`
    const result = await rotate(world.old, curve, word)
    expect(result.status).toBe(5)
    expect(result.stderr).toMatch(
      /the new key alone is not let in\n {2}the old key works; the new one stands beside it/,
    )
    expect(await world.read(one)).toContain(`${world.oldLine}\necdsa-sha2-nistp256 `)
    expect(await rotate('--rollback')).toMatchObject({ status: 0 })
    expect(await world.read(one)).toBe(`# mine\n${world.oldLine}\n# end\n`)
  } finally {
    await sshd.stop()
  }
})

test('where the server wants a key and a password of everybody', async () => {
  const config = ['PasswordAuthentication yes', 'AuthenticationMethods publickey,password']
  const sshd = await startSshd({ users: world.users, config })
  const password = join(world.home.path, 'password')
  try {
    await writeFile(join(world.home.ssh, 'known_hosts'), world.sshd.knownHosts + sshd.knownHosts)
    await writeFile(password, one.password)
    const word = `ssh://${one.name}@127.0.0.1:${sshd.port}`
    expect(await rotate('--password-file', password, ...pair(), word)).toMatchObject({ status: 0, stderr: '' })
    expect(await world.read(one)).toBe(`# mine\n${world.newLine}\n# end\n`)
    expect(await rotate('--rollback', '--password-file', password)).toMatchObject({ status: 0, stderr: '' })
    expect(await world.read(one)).toBe(`# mine\n${world.oldLine}\n# end\n`)
  } finally {
    await sshd.stop()
  }
})

test('where there is SFTP alone', async () => {
  const sshd = await startSshd({ users: world.users, config: ['ForceCommand internal-sftp'] })
  try {
    await writeFile(join(world.home.ssh, 'known_hosts'), world.sshd.knownHosts + sshd.knownHosts)
    const word = `ssh://${one.name}@127.0.0.1:${sshd.port}`
    expect(await rotate(...pair(), word)).toMatchObject({ status: 0, stderr: '' })
    expect(await world.read(one)).toBe(`# mine\n${world.newLine}\n# end\n`)
    expect(await rotate('--rollback')).toMatchObject({ status: 0, stderr: '' })
    expect(await world.read(one)).toBe(`# mine\n${world.oldLine}\n# end\n`)
  } finally {
    await sshd.stop()
  }
})

test('an old key that is let in from elsewhere is said, with the line, until it is not', async () => {
  const sshd = await startSshd({
    users: world.users,
    config: [`AuthorizedKeysFile .ssh/authorized_keys .ssh/more`],
  })
  const second = join(one.home, '.ssh', 'more')
  try {
    await writeFile(second, `${world.oldLine}\n`)
    await writeFile(join(world.home.ssh, 'known_hosts'), world.sshd.knownHosts + sshd.knownHosts)
    const word = `ssh://${one.name}@127.0.0.1:${sshd.port}`
    const result = await rotate('--json', ...pair(), word)
    expect(result.status).toBe(1)
    expect(facts(result)).toMatchObject([{ state: 'still-admitted', code: 1 }])
    expect(facts(result)[0]?.detail).toContain(`${second} line 1`)
    await rm(second)
    expect(facts(await rotate('--resume', '--json'))).toMatchObject([{ state: 'done' }])
  } finally {
    await rm(second, { force: true })
    await sshd.stop()
  }
})

test('both with passphrases, hosts from a file, interrupted: --resume needs the keys’ secrets and nothing else', async () => {
  const [old, fresh] = [join(world.home.ssh, 'id_old_locked'), join(world.home.ssh, 'id_new_locked')]
  const secrets = [join(world.home.path, 'old-secret'), join(world.home.path, 'new-secret')] as const
  for (const [index, file] of [old, fresh].entries()) {
    await writeFile(secrets[index] ?? '', `passphrase ${index}\n`)
    await world.ours(['gen', '--force', '-f', file, '--passphrase-file', secrets[index] ?? ''])
  }
  const oldLine = (await readFile(`${old}.pub`, 'utf8')).trim()
  const newLine = (await readFile(`${fresh}.pub`, 'utf8')).trim()
  await world.write(one, `${oldLine}\n`)
  // This one has neither: what is begun is written down.
  await world.write(two, `${world.oldLine}\n`)
  const hosts = join(world.home.path, 'hosts')
  const list = world.users.map(({ name }, i) => `h${i} ansible_host=127.0.0.1 ansible_user=${name}`).join('\n')
  await writeFile(hosts, `[all]\n${list}\n`)
  const given = ['--old-passphrase-file', secrets[0], '--passphrase-file', secrets[1], '-i', world.old]
  const way = ['--hosts', hosts, '-p', String(world.sshd.port)]
  expect(await rotate(old, fresh, ...given, ...way)).toMatchObject({ status: 3 })
  expect(await world.read(one)).toBe(`${newLine}\n`)
  await world.write(two, `${oldLine}\n`)
  expect(await rotate('--resume')).toMatchObject({ status: 5 })
  const result = await rotate('--resume', '--json', ...given)
  expect(facts(result)).toMatchObject([{ host: 'h1', state: 'done' }])
  expect(await world.read(two)).toBe(`${newLine}\n`)
})

describe('what is saved here', () => {
  const save = (name: string, user: SystemUser, key: string) =>
    world.ours(['session', 'save', name, `${user.name}@127.0.0.1`, '-p', String(world.sshd.port), '-i', key])
  const keyOf = async (name: string) =>
    (JSON.parse((await world.ours(['session', 'show', name, '--json'])).stdout) as { key?: string }).key
  const policy = () => join(world.home.path, '.config', 'keytool', 'agent.json')

  test('--all goes to the sessions of the old key, which follow, as the agent’s rule does; and back', async () => {
    await save('first', one, world.old)
    await save('second', two, world.old)
    await save('third', two, join(world.home.ssh, 'id_other_one'))
    const rule = { file: '~/.ssh/id_old', lifetime: 60, hosts: ['127.0.0.1'] }
    const kept = { file: '~/.ssh/other', confirm: true }
    await mkdir(join(world.home.path, '.config', 'keytool'), { recursive: true })
    await writeFile(policy(), JSON.stringify({ version: 1, keys: [kept, rule] }))
    const result = await rotate('--all', ...pair(), '--json')
    expect(facts(result).map(({ state }) => state)).toEqual(['done', 'done'])
    expect(result.stderr).toContain('2 sessions with the new key now: first, second')
    expect([await keyOf('first'), await keyOf('second')]).toEqual([world.new, world.new])
    expect(await keyOf('third')).not.toBe(world.new)
    const rules = () => readFile(policy(), 'utf8').then(text => JSON.parse(text).keys)
    expect(await rules()).toEqual([kept, { ...rule, file: world.new }])
    expect(await rotate('--rollback')).toMatchObject({
      status: 0,
      stderr: expect.stringContaining('2 sessions with the old key again: first, second\n'),
    })
    expect([await keyOf('first'), await keyOf('second')]).toEqual([world.old, world.old])
    expect(await rules()).toEqual([kept, rule])
  })

  test('a session of a host that is not done keeps its key; no session at all: 3', async () => {
    expect(await rotate('--all', ...pair())).toMatchObject({ status: 3 })
    await save('first', one, world.old)
    await save('second', two, world.old)
    await world.write(two, '')
    expect((await rotate('--all', ...pair())).status).not.toBe(0)
    expect([await keyOf('first'), await keyOf('second')]).toEqual([world.new, world.old])
  })
})

test('a second rotation of one of the keys meanwhile is refused: 4', async () => {
  const keys = await Promise.all(pair().map(async file => readPublicLines(await readFile(`${file}.pub`))))
  const [old, fresh] = keys.flat() as [PublicKey, PublicKey]
  const store = new RotationStore(join(world.home.path, '.local', 'state', 'keytool'))
  const followed = { sessions: [] }
  const held = await store.hold(fresh, old, () => ({
    ...{ version: 1, since: new Date().toISOString(), hosts: [], followed },
    old: { line: world.newLine },
    new: { line: world.oldLine },
  }))
  const before = visits()
  const result = await rotate(...pair(), ...both())
  expect(result).toMatchObject({ status: 4, stderr: expect.stringContaining(`by process ${process.pid} on `) })
  await held.release()
  expect(visits()).toBe(before)
  expect(await rotate(...pair(), ...both())).toMatchObject({ status: 0 })
  expect(visits()).toBeGreaterThan(before)
})
