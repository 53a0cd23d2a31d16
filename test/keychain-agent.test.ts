import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { jest } from '@jest/globals'
import { connectAgent, createKeychain, type StatusReport } from '@keytool/agent'
import { later } from '../packages/agent/test/support.js'
import { type Askpass, makeAskpass, until } from './agent-askpass.js'
import { during, findProcesses, leaveHome, type OurAgent, startOurAgent, untilWritten } from './agent-fixture.js'
import { type Environment, type Home, opensshOptions, temporaryHome } from './world/home.js'
import { type Keyring, type KeyringOptions, startKeyring } from './world/keyring.js'
import { peerPath } from './world/peers.js'
import { residentKeytool } from './world/resident.js'
import { keytoolPath, type RunResult, run, runOrThrow } from './world/run.js'
import { startSshd } from './world/sshd.js'
import { start } from './world/start.js'
import { createUser } from './world/system-user.js'

// Keys whose passphrases lie in GNOME's keyring: the agent opens them by itself, and says why where it can't.

jest.setTimeout(120_000)

const PASSPHRASE = 'Xyzzy-plugh-4711'

let home: Home
let keyring: Keyring
let askpass: Askpass
let agent: OurAgent

beforeEach(async () => {
  home = await temporaryHome()
  later(() => leaveHome(home))
  const folder = join(home.path, 'askpass')
  await mkdir(folder)
  askpass = await makeAskpass(folder)
})

async function useKeyring(options?: KeyringOptions): Promise<void> {
  keyring = await startKeyring(home, options)
  later(() => keyring.stop())
}

interface Made {
  readonly file: string
  readonly fingerprint: string
}

/** An encrypted key of ssh-keygen's, and a rule that says where its passphrase lies. */
async function makeKey(name = 'id_work', passphrase = PASSPHRASE): Promise<Made> {
  const file = join(home.ssh, name)
  await keygen('-q', '-t', 'ed25519', '-a', '1', '-N', passphrase, '-C', name, '-f', file)
  const [, fingerprint = ''] = (await keygen('-l', '-f', file)).split(' ')
  return { file, fingerprint }
}

const keygen = async (...args: string[]) => (await runOrThrow(peerPath('ssh-keygen'), args)).stdout

async function remember(...keys: readonly Made[]): Promise<void> {
  const folder = join(home.path, '.config', 'keytool')
  await mkdir(folder, { recursive: true })
  const rules = keys.map(key => ({ ...key, atLogin: true, remember: true }))
  await writeFile(join(folder, 'agent.json'), JSON.stringify({ version: 1, keys: rules }), { mode: 0o600 })
}

async function startAgent(env: Environment): Promise<void> {
  const started = await startOurAgent({ ...home, env })
  // The keyring of this home still runs: what is left is looked for at the end.
  later(() => residentKeytool(['agent', 'stop'], { env: started.env }))
  // Whoever asks it has neither a keychain nor an askpass program.
  agent = { ...started, env: { ...home.env, SSH_AUTH_SOCK: started.socket } }
}

const asking = () => ({ ...keyring.env, ...askpass.env })

/** Has ssh-add sign with a key. */
const sign = ({ file }: Made) => run(peerPath('ssh-add'), ['-T', `${file}.pub`], { env: agent.env })
const works = async (key: Made) => expect(await sign(key)).toMatchObject({ status: 0 })
const fails = async (key: Made) => expect(await sign(key)).toMatchObject({ status: 1 })

async function ours(...args: string[]): Promise<RunResult> {
  return residentKeytool(args, { env: agent.env })
}

/** What the agent itself says. */
async function status(): Promise<StatusReport> {
  const client = await connectAgent(agent.socket)
  try {
    const told = await client.status?.()
    if (!told) throw new Error('it tells nothing')
    return told
  } finally {
    client.close()
  }
}

const troubles = async () => (await status())['troubles'] as readonly string[]
const reasons = async () => {
  await untilWritten(agent.socket)
  return (await ours('log', '--json')).stdout
}

describe('with a keyring', () => {
  test('a remembered key logs in at a real sshd, and nobody is asked', async () => {
    await useKeyring()
    const key = await makeKey()
    await remember(key)
    await keyring.write(key.fingerprint, PASSPHRASE)
    const user = await createUser()
    later(() => user.dispose())
    const sshd = await startSshd({ users: [user], passwordUsers: [] })
    later(() => sshd.stop())
    await user.authorize(await readFile(`${key.file}.pub`, 'utf8'))
    await writeFile(join(home.ssh, 'known_hosts'), sshd.knownHosts)
    await startAgent(asking())
    expect(await status()).toMatchObject({ keychain: 'unknown', keys: { sealed: 1, open: 0 } })

    const options = [...opensshOptions(home), '-o', 'IdentitiesOnly=no', '-p', String(sshd.port)]
    const login = await run(peerPath('ssh'), [...options, `${user.name}@${sshd.host}`, 'echo in'], { env: agent.env })
    expect(login).toMatchObject({ status: 0, stdout: 'in\n' })
    await works(key)
    expect(await status()).toMatchObject({ keychain: 'unlocked', keys: { sealed: 0, open: 1 }, troubles: [] })
    expect(await askpass.count()).toBe(0)
    expect(await reasons()).toContain('by the keychain')
  })

  test('a key whose rule does not say so is not looked for', async () => {
    await useKeyring()
    const key = await makeKey()
    await keyring.write(key.fingerprint, PASSPHRASE)
    await startAgent(keyring.env)
    expect((await residentKeytool(['add', '--sealed', key.file], { env: agent.env })).status).toBe(0)
    await fails(key)
    expect(await status()).toMatchObject({ keychain: 'unknown', troubles: [] })
  })

  test('many who want it at once cause one lookup', async () => {
    await useKeyring()
    const key = await makeKey()
    await remember(key)
    await keyring.write(key.fingerprint, PASSPHRASE)
    await startAgent(asking())
    // While it hangs, all of them wait, and there is one child.
    keyring.signal('SIGSTOP')
    const all = Promise.all(Array.from({ length: 12 }, () => sign(key)))
    await until('a child', async () => (await children()).length > 0)
    await new Promise(resolve => setTimeout(resolve, 500))
    expect(await children()).toHaveLength(1)
    keyring.signal('SIGCONT')
    expect((await all).map(result => result.status)).toEqual(new Array(12).fill(0))
    expect((await reasons()).match(/by the keychain/g)).toHaveLength(1)
    expect(await askpass.count()).toBe(0)
  })

  test.each([
    ['that was locked', undefined],
    ['that nobody has unlocked since its daemon started', null],
  ])('one %s is named, and works after unlocking', async (_what, password) => {
    await useKeyring()
    const key = await makeKey()
    await remember(key)
    await keyring.write(key.fingerprint, PASSPHRASE)
    if (password === undefined) await keyring.lock()
    else {
      await keyring.stop()
      await useKeyring({ password })
    }
    await startAgent(keyring.env)
    await fails(key)
    expect(await status()).toMatchObject({
      keychain: 'locked',
      keys: { sealed: 1, open: 0 },
      troubles: ['id_work is not opened by the keychain: the keychain is locked'],
    })
    expect(await reasons()).toContain('the keychain is locked, and nobody can be asked')
    await keyring.unlock()
    await works(key)
    expect(await status()).toMatchObject({ keychain: 'unlocked', keys: { sealed: 0, open: 1 }, troubles: [] })
  })

  test('a locked one has the user asked at once, and keeps nothing of that', async () => {
    await useKeyring()
    const key = await makeKey()
    await remember(key)
    await keyring.write(key.fingerprint, PASSPHRASE)
    await keyring.lock()
    await startAgent(asking())
    const signing = sign(key)
    expect((await askpass.waitFor(1)).text).toMatch(/^the keychain is locked\n.*passphrase for id_work: $/s)
    await askpass.answer(1, PASSPHRASE)
    expect((await signing).status).toBe(0)
  })

  test('a passphrase that no longer fits is asked for once, and replaced', async () => {
    await useKeyring()
    const key = await makeKey()
    await remember(key)
    await keyring.write(key.fingerprint, 'the old one')
    await startAgent(asking())

    const refused = sign(key)
    const first = await askpass.waitFor(1)
    expect(first.text).toMatch(/^the stored passphrase no longer fits\n.*passphrase for id_work: $/s)
    await askpass.refuse(1)
    expect((await refused).status).toBe(1)
    expect(await keyring.read(key.fingerprint)).toBe('the old one')
    expect(await troubles()).toEqual([
      "id_work is not opened by the keychain: the stored passphrase no longer fits: the file's passphrase was changed",
    ])

    await new Promise(resolve => setTimeout(resolve, 1100))
    const signing = sign(key)
    expect((await askpass.waitFor(2)).text).toMatch(/^the stored passphrase no longer fits\n/)
    await askpass.answer(2, PASSPHRASE)
    expect((await signing).status).toBe(0)
    // It was tried the first time only.
    expect((await reasons()).match(/"reason":"the stored passphrase no longer fits"/g)).toHaveLength(1)
    await until('the new one', async () => (await keyring.read(key.fingerprint)) === PASSPHRASE)
    await until('peace', async () => (await troubles()).length === 0)

    expect((await ours('reencrypt', '--all')).status).toBe(0)
    expect(await status()).toMatchObject({ keys: { sealed: 1, open: 0 } })
    await works(key)
    expect(await askpass.count()).toBe(2)
  })

  test('a use that the policy refuses does not get as far as the keychain', async () => {
    await useKeyring()
    const key = await makeKey()
    await remember(key)
    const path = join(home.path, '.config', 'keytool', 'agent.json')
    const policy = JSON.parse(await readFile(path, 'utf8'))
    await writeFile(path, JSON.stringify({ ...policy, keys: [{ ...policy.keys[0], hosts: ['web.example'] }] }))
    await keyring.write(key.fingerprint, PASSPHRASE)
    await startAgent(asking())
    await fails(key)
    expect(await status()).toMatchObject({ keychain: 'unknown', keys: { sealed: 1, open: 0 } })
    expect(await askpass.count()).toBe(0)
  })

  test('many who store at once lose nothing of each other', async () => {
    await useKeyring()
    const prints = Array.from('abcde', letter => `SHA256:${letter.repeat(43)}`)
    const options = { program: childProgram, env: keyring.env, timeout: 25_000 }
    const store = (fingerprint: string) =>
      createKeychain(options).store({ fingerprint, comment: '' }, Buffer.from(fingerprint))
    await Promise.all(prints.map(store))
    const keychain = createKeychain(options)
    expect((await keychain.list()).map(({ fingerprint }) => fingerprint).sort()).toEqual(prints)
    await Promise.all(prints.slice(1).map(fingerprint => createKeychain(options).forget(fingerprint)))
    expect((await keychain.list()).map(({ fingerprint }) => fingerprint)).toEqual(prints.slice(0, 1))
    expect(await readdir(join(home.runtime, 'keytool'))).toEqual([])
  })

  test('a passphrase that is not there is asked for, and stored; keytool unlock does, too', async () => {
    await useKeyring()
    const [one, two] = [await makeKey(), await makeKey('id_other')]
    await remember(one, two)
    await startAgent(asking())
    const signing = sign(one)
    expect((await askpass.waitFor(1)).text).toMatch(/^the keychain has no passphrase for id_work\n/)
    await askpass.answer(1, PASSPHRASE)
    expect((await signing).status).toBe(0)
    await until('the first', async () => (await keyring.read(one.fingerprint)) === PASSPHRASE)

    const waiting = sign(two)
    await askpass.waitFor(2)
    const typed = { env: agent.env, input: `${PASSPHRASE}\n` }
    expect(await residentKeytool(['unlock', '--passphrase-file', '-', two.file], typed)).toMatchObject({ status: 0 })
    expect((await waiting).status).toBe(0)
    await until('the second', async () => (await keyring.read(two.fingerprint)) === PASSPHRASE)
    const listed = await createKeychain({ program: childProgram, env: keyring.env, timeout: 25_000 }).list()
    expect(listed.map(({ file }) => file)).toEqual([one.file, two.file])
  })

  test.each([
    ['hangs', 'SIGSTOP'],
    ['is killed', 'SIGKILL'],
  ] as const)('a keyring that %s in the middle of a request is answered for in time', async (_what, fate) => {
    await useKeyring()
    const [key, other] = [await makeKey(), await makeKey('id_other')]
    await remember(key)
    await keyring.write(key.fingerprint, PASSPHRASE)
    await startAgent(keyring.env)
    const typed = { env: agent.env, input: `${PASSPHRASE}\n` }
    expect((await residentKeytool(['add', '--passphrase-file', '-', other.file], typed)).status).toBe(0)

    keyring.signal('SIGSTOP')
    let isAnswered = false
    const signing = sign(key).finally(() => {
      isAnswered = true
    })
    await until('a child', async () => (await children()).length > 0)
    // Nobody else waits for it.
    await works(other)
    expect((await ours('list')).stdout).toContain('id_work')
    expect(isAnswered).toBe(false)
    await new Promise(resolve => setTimeout(resolve, 300))
    if (fate === 'SIGKILL') keyring.signal(fate)
    // Who is never answered is given up by `run`, much later.
    expect((await signing).status).toBe(1)
    expect(await status()).toMatchObject({ keychain: 'none', keys: { sealed: 1, open: 1 } })
    expect(await reasons()).toMatch(/(the keychain does not answer|there is no keychain here), and nobody can be asked/)
    await until('no child', async () => (await children()).length === 0)
    if (fate === 'SIGSTOP') {
      keyring.signal('SIGCONT')
      await works(key)
    }
  })

  test('who leaves takes the lookup along', async () => {
    await useKeyring()
    const key = await makeKey()
    await remember(key)
    await startAgent(keyring.env)
    keyring.signal('SIGSTOP')
    await during(start(peerPath('ssh-add'), ['-T', `${key.file}.pub`], { env: agent.env }), async asking => {
      await until('a child', async () => (await children()).length > 0)
      await asking.stop('SIGKILL')
    })
    await until('no child', async () => (await children()).length === 0)
    // It did not end because its time was over: then it would be known that no keychain answers.
    expect(await status()).toMatchObject({ keychain: 'unknown', troubles: [] })
    keyring.signal('SIGCONT')
  })

  test('what is locked or sealed meanwhile stays sealed', async () => {
    await useKeyring()
    const key = await makeKey()
    await remember(key)
    await keyring.write(key.fingerprint, PASSPHRASE)
    await startAgent(asking())
    keyring.signal('SIGSTOP')
    const signing = sign(key)
    await until('a child', async () => (await children()).length > 0)
    const typed = { env: agent.env, input: 'lock word\n' }
    expect((await residentKeytool(['lock', '--passphrase-file', '-'], typed)).status).toBe(0)
    keyring.signal('SIGCONT')
    expect((await signing).status).toBe(1)
    await fails(key)
    expect((await residentKeytool(['unlock', '--passphrase-file', '-'], typed)).status).toBe(0)
    expect(await status()).toMatchObject({ keys: { sealed: 1, open: 0 } })
    expect(await askpass.count()).toBe(0)
    await works(key)
  })

  const texts: readonly (readonly [string, string])[] = [
    ['composed', 'Bär\u00e9'.normalize('NFC')],
    ['decomposed', 'Bär\u00e9'.normalize('NFD')],
    ['emoji', '🔑🦊 👩‍👩‍👧'],
    ['Japanese', 'ひらけゴマ'],
    ['of two lines', 'one\ntwo\n'],
    ['with blanks around it', ' \t x '],
    ['of 4 KiB', 'é'.repeat(2048)],
  ]

  test('passphrases are kept byte for byte', async () => {
    await useKeyring()
    const keychain = createKeychain({ program: childProgram, env: keyring.env, timeout: 25_000 })
    const keys: Made[] = []
    for (const [index, [, passphrase]] of texts.entries()) {
      const key = await makeKey(`id_${index}`, passphrase)
      await keychain.store({ ...key, comment: '' }, Buffer.from(passphrase))
      expect(await keyring.read(key.fingerprint)).toBe(passphrase)
      keys.push(key)
    }
    await remember(...keys)
    await startAgent(keyring.env)
    for (const key of keys) await works(key)
    expect(await status()).toMatchObject({ keys: { sealed: 0, open: keys.length }, troubles: [] })
  })
})

test('without any D-Bus the agent answers at once, says why, and takes what is typed elsewhere', async () => {
  const key = await makeKey()
  await remember(key)
  await startAgent(home.env)
  await fails(key)
  expect(await status()).toMatchObject({
    keychain: 'none',
    troubles: [expect.stringMatching(/^id_work is not opened by the keychain: there is no keychain here: /)],
  })
  expect(await reasons()).toContain('there is no keychain here, and nobody can be asked')
  const typed = { env: agent.env, input: `${PASSPHRASE}\n` }
  expect((await residentKeytool(['unlock', '--passphrase-file', '-', key.file], typed)).status).toBe(0)
  await works(key)
})

const childProgram = keytoolPath.replace(/keytool\.cjs$/, 'keychain.cjs')

/** The processes that ask the keyring. */
async function children() {
  return (await findProcesses(home)).filter(({ command }) => command.endsWith('keychain.cjs'))
}
