import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { jest } from '@jest/globals'
import { makeKey, readLedger, succeed } from './agent-hosts.js'
import { openSuiteWorld, type SuiteWorld } from './agent-suite.js'
import { listKeys } from './agent-terms.js'
import type { Environment } from './world/home.js'
import { newestSuites, ownSuite } from './world/newest.js'
import { type PeerName, peerPath } from './world/peers.js'
import { type RunResult, run, runOrThrow } from './world/run.js'
import { type Sshd, startSshd } from './world/sshd.js'
import { createUser, type SystemUser } from './world/system-user.js'

// Programs of others that use an agent for more than a login, and those that log in with files of PuTTY's.

jest.setTimeout(120_000)

const types: readonly (readonly [name: string, options: readonly string[]])[] = [
  ['ed25519', ['-t', 'ed25519']],
  ['ecdsa 256', ['-t', 'ecdsa', '-b', '256']],
  ['ecdsa 384', ['-t', 'ecdsa', '-b', '384']],
  ['ecdsa 521', ['-t', 'ecdsa', '-b', '521']],
  ['rsa', ['-t', 'rsa', '-b', '2048']],
]

let world: SuiteWorld
let env: Environment

beforeAll(async () => {
  world = await openSuiteWorld(ownSuite())
  env = world.agent.env
})
afterAll(() => world.dispose())

function fileOf(name: string): string {
  return join(world.home.ssh, name)
}

describe('ssh-keygen -Y sign', () => {
  describe.each([ownSuite(), ...newestSuites()])('of Debian $name', suite => {
    let there: SuiteWorld

    beforeAll(async () => {
      there = await openSuiteWorld(suite)
    })
    afterAll(() => there.dispose())

    test.each(types)('%s: the agent alone, with the key and with its certificate', async (_, options) => {
      const file = join(there.home.ssh, 'id')
      const [inside, message] = [there.inside(file), join(there.home.ssh, 'message')]
      for (const end of ['', '.pub', '-cert.pub']) await rm(`${file}${end}`, { force: true })
      await there.runOrThrow('ssh-keygen', ['-q', ...options, '-N', '', '-C', 'hana', '-f', inside])
      await there.runOrThrow('ssh-keygen', ['-q', '-s', inside, '-I', 'hana', '-n', 'hana', `${inside}.pub`])
      await there.runOrThrow('ssh-add', ['-q', inside])
      await writeFile(message, 'one kettle\n')
      const line = await readFile(`${file}.pub`, 'utf8')
      await writeFile(join(there.home.ssh, 'signers'), `hana ${line}hana cert-authority ${line}`)
      const sign = async (with_: string, hash: string) => {
        await rm(`${message}.sig`, { force: true })
        const how = ['-Y', 'sign', '-n', 'shop', '-O', `hashalg=${hash}`, '-f', with_, there.inside(message)]
        await there.runOrThrow('ssh-keygen', how)
        return readFile(`${message}.sig`, 'utf8')
      }
      const byFile = { sha256: await sign(inside, 'sha256'), sha512: await sign(inside, 'sha512') }
      await rm(file)
      for (const hash of ['sha256', 'sha512'] as const) {
        for (const end of ['.pub', '-cert.pub']) {
          const signature = await sign(`${inside}${end}`, hash)
          // ECDSA draws a number each time.
          if (end === '.pub' && !options.includes('ecdsa')) expect(signature).toBe(byFile[hash])
          const signers = there.inside(join(there.home.ssh, 'signers'))
          const how = ['-Y', 'verify', '-n', 'shop', '-f', signers, '-I', 'hana', '-s', `${there.inside(message)}.sig`]
          expect((await there.run('ssh-keygen', how, { input: 'one kettle\n' })).stdout).toMatch(
            /^Good "shop" signature/,
          )
          expect((await there.run('ssh-keygen', how, { input: 'two kettles\n' })).status).not.toBe(0)
        }
      }
      await there.runOrThrow('ssh-add', ['-q', '-D'])
      await expect(sign(`${inside}.pub`, 'sha512')).rejects.toThrow(/ended with 255/)
    })
  })
})

describe('git signs', () => {
  let repository: string
  let signers: string

  beforeAll(async () => {
    repository = join(world.home.path, 'work')
    signers = join(world.home.path, 'signers')
    await mkdir(repository)
    await git('init', '-q')
  })

  function tryGit(args: readonly string[], key = ''): Promise<RunResult> {
    const config = {
      'user.name': 'Hana',
      'user.email': 'hana@shop.example',
      'gpg.format': 'ssh',
      'gpg.ssh.allowedSignersFile': signers,
      'user.signingKey': key,
    }
    const words = Object.entries(config).flatMap(([name, value]) => ['-c', `${name}=${value}`])
    const own = { GIT_CONFIG_NOSYSTEM: '1', GIT_TERMINAL_PROMPT: '0' }
    return run(peerPath('git'), [...words, ...args], { env: { ...env, ...own }, cwd: repository })
  }

  async function git(...args: readonly string[]): Promise<RunResult> {
    const result = await tryGit(args)
    expect(result).toMatchObject({ status: 0 })
    return result
  }

  /** Makes a key, adds it as said, and removes its file. Returns its public line. */
  async function load(name: string, options: readonly string[], ...flags: readonly string[]): Promise<string> {
    await makeKey(fileOf(name), ...options)
    await world.runOrThrow('ssh-add', ['-q', ...flags, fileOf(name)])
    await rm(fileOf(name))
    const line = await readFile(`${fileOf(name)}.pub`, 'utf8')
    await writeFile(signers, `hana@shop.example ${line}`)
    return line.trimEnd()
  }

  const commit = ['commit', '-q', '--allow-empty', '-S', '-m', 'an order']

  test.each(types)('%s: commits and tags, by the public file and by the key itself', async (type, options) => {
    const line = await load(`git-${type.replace(' ', '-')}`, options)
    for (const key of [`${fileOf(`git-${type.replace(' ', '-')}`)}.pub`, `key::${line}`]) {
      expect(await tryGit(commit, key)).toMatchObject({ status: 0 })
      expect((await git('verify-commit', 'HEAD')).stderr).toMatch(/^Good "git" signature for hana@shop\.example/)
      expect(await tryGit(['tag', '-f', '-s', '-m', 'shipped', 'v1'], key)).toMatchObject({ status: 0 })
      expect((await git('verify-tag', 'v1')).stderr).toMatch(/^Good "git" signature for hana@shop\.example/)
    }
    const { program, purpose, verdict } = (await readLedger(env, 'sign')).at(-1) ?? {}
    expect({ verdict, purpose: JSON.stringify(purpose), program: JSON.stringify(program) }).toEqual({
      verdict: 'allowed',
      purpose: expect.stringMatching(/sshsig|git/),
      program: expect.stringContaining('git'),
    })
  })

  test('only what the user lets it: asked, elsewhere, locked, gone', async () => {
    const before = (await git('rev-parse', 'HEAD')).stdout
    const expectRefused = async (key: string) => {
      expect(await tryGit(commit, key)).toMatchObject({
        status: 128,
        stderr: expect.stringContaining('failed to write'),
      })
      expect((await git('rev-parse', 'HEAD')).stdout).toBe(before)
    }
    const asked = `key::${await load('git-asked', [], '-c')}`
    await world.answerQuestions('no')
    await expectRefused(asked)

    await writeFile(fileOf('known_hosts'), `shop.example ${await readFile(`${fileOf('git-asked')}.pub`, 'utf8')}`)
    await expectRefused(`key::${await load('git-bound', [], '-H', fileOf('known_hosts'), '-h', 'shop.example')}`)

    const free = `key::${await load('git-free', [])}`
    await world.runOrThrow('ssh-add', ['-x'], { answer: 'sesame' })
    await expectRefused(free)
    await world.runOrThrow('ssh-add', ['-X'], { answer: 'sesame' })
    await world.runOrThrow('ssh-add', ['-q', '-D'])
    await expectRefused(free)
  })
})

describe('libraries of Python', () => {
  let files: string[]

  beforeAll(async () => {
    files = types.map(([name]) => fileOf(`python-${name.replace(' ', '-')}`))
    await Promise.all(types.map(([, options], index) => makeKey(files[index] ?? '', ...options)))
  })
  beforeEach(() => world.runOrThrow('ssh-add', ['-q', '-D']))

  async function python(client: PeerName, script: string, ...args: readonly string[]): Promise<unknown> {
    const path = fileURLToPath(new URL(`world/python/${script}`, import.meta.url))
    return JSON.parse((await runOrThrow(peerPath(client), ['-B', path, ...args], { env })).stdout)
  }

  test('paramiko lists what is there, and signs with every key, RSA by both of its hashes', async () => {
    await world.runOrThrow('ssh-add', ['-q', ...files])
    const keys = await listKeys(world.agent.socket)
    expect(await python('paramiko', 'paramiko_agent.py')).toEqual(
      keys.flatMap(({ blob }, index) =>
        (types[index]?.[0] === 'rsa' ? ['rsa-sha2-256', 'rsa-sha2-512'] : [null]).map(algorithm => ({
          blob,
          algorithm,
          verified: true,
        })),
      ),
    )
  })

  test('asyncssh adds, lists, signs, locks, unlocks and removes', async () => {
    const comments = files.map(file => file.slice(file.lastIndexOf('/') + 1))
    expect(await python('asyncssh', 'asyncssh_agent.py', ...files)).toEqual({
      added: comments,
      verified: files.map(() => true),
      locked: [],
      'signs locked': false,
      'wrong passphrase': false,
      unlocked: comments,
      removed: comments.slice(1),
      card: false,
      'removed all': [],
    })
    expect(await listKeys(world.agent.socket)).toMatchObject([{ lifetime: 600, confirm: true, destinations: [] }])
  })
})

describe('files of PuTTY', () => {
  const passphrase = 'sesame'
  let user: SystemUser
  let sshd: Sshd

  beforeAll(async () => {
    user = await createUser()
    sshd = await startSshd({ users: [user], passwordUsers: [] })
  })
  afterAll(async () => {
    await sshd?.stop()
    await user?.dispose()
  })

  describe.each([ownSuite(), ...newestSuites()])('and the programs of Debian $name', suite => {
    let there: SuiteWorld
    let secret: string

    beforeAll(async () => {
      there = await openSuiteWorld(suite)
      secret = join(there.home.path, 'secret')
      await writeFile(secret, `${passphrase}\n`, { mode: 0o600 })
    })
    afterAll(() => there.dispose())

    /** Returns its path, and its line in OpenSSH's format. */
    async function makePpk(name: string, options: readonly string[]): Promise<{ file: string; line: string }> {
      const file = join(there.home.ssh, name)
      const how = ['--random-device', '/dev/urandom', '-O', 'private', '--new-passphrase', there.inside(secret)]
      const quick = ['--ppk-param', 'passes=1,memory=64']
      await there.runOrThrow('puttygen', [...options, ...quick, ...how, '-C', name, '-o', there.inside(file)])
      const { stdout } = await there.runOrThrow('puttygen', [there.inside(file), '-L'])
      return { file, line: stdout.trimEnd() }
    }

    function plink(): Promise<RunResult> {
      const hostKeys = Object.values(sshd.fingerprints).flatMap(print => ['-hostkey', print])
      const args = ['-ssh', '-batch', '-agent', '-no-trivial-auth', ...hostKeys, '-P', String(sshd.port)]
      return there.run('plink', [...args, `${user.name}@${sshd.host}`, 'echo in'])
    }

    test.each(types)('%s: made by puttygen, added by keytool add, in with plink', async (type, options) => {
      const { file, line } = await makePpk(`ppk-${type.replace(' ', '-')}`, options)
      await rm(user.authorizedKeysFile, { force: true })
      await user.authorize(line)
      await succeed(there.agent.env, ['add', '--passphrase-file', secret, file])
      await rm(file)
      expect(await plink()).toMatchObject({ status: 0, stdout: 'in\n' })
      await succeed(there.agent.env, ['remove', '--all'])
      expect(await plink()).toMatchObject({ status: 1, stdout: '' })
    })

    if (suite.hasPageant) {
      test('pageant, as a client of our agent: adds, lists, prints, seals and deletes', async () => {
        const pageant = (...args: string[]) => there.run('pageant', args)
        const [one, two] = [await makePpk('one', ['-t', 'ed25519']), await makePpk('two', ['-t', 'ecdsa'])]
        const [plain] = [join(there.home.ssh, 'plain')]
        await there.runOrThrow('puttygen', [
          ...['-t', 'rsa', '-b', '2048', '--random-device', '/dev/urandom', '-C', 'plain'],
          ...['--new-passphrase', '/dev/null', '-o', there.inside(plain)],
        ])
        const states = async () => (await listKeys(there.agent.socket)).map(({ state }) => state)
        const ok = { status: 0, stderr: '' }

        expect(await pageant('-a', '--encrypted', there.inside(one.file), there.inside(two.file))).toMatchObject(ok)
        expect(await pageant('-a', there.inside(plain))).toMatchObject(ok)
        expect(await states()).toEqual(['sealed', 'sealed', 'open'])

        const listed = await pageant('-l')
        expect(listed).toMatchObject(ok)
        const prints = await there.runOrThrow('ssh-add', ['-l'])
        for (const print of prints.stdout.match(/SHA256:\S+/g) ?? []) expect(listed.stdout).toContain(print)
        expect(listed.stdout.trimEnd().split('\n')).toHaveLength(3)
        expect(listed.stdout.match(/re-encryptable|encrypted/g)).toHaveLength(2)
        // PuTTY 0.85 prints those that are named.
        expect((await pageant('-L', 'one', 'two', 'plain')).stdout).toBe(
          (await there.runOrThrow('ssh-add', ['-L'])).stdout,
        )
        expect((await pageant('-L', 'one')).stdout).toBe(`${one.line}\n`)
        expect((await pageant('--public', 'two')).stdout).toContain('BEGIN SSH2 PUBLIC KEY')

        // Open, it is sealed again; what has no encrypted file is left, and said.
        await succeed(there.agent.env, ['unlock', '--passphrase-file', secret, one.file])
        expect(await states()).toEqual(['open', 'sealed', 'open'])
        expect(await pageant('-r', 'one')).toMatchObject(ok)
        expect(await states()).toEqual(['sealed', 'sealed', 'open'])
        expect((await pageant('-r', 'plain')).status).not.toBe(0)
        await succeed(there.agent.env, ['unlock', '--passphrase-file', secret, two.file])
        const all = await pageant('-R')
        expect(all.status).toBe(0)
        expect(all.stderr).toMatch(/1 key/)
        expect(await states()).toEqual(['sealed', 'sealed', 'open'])

        expect(await pageant('-d', 'two')).toMatchObject(ok)
        expect((await pageant('-d', 'two')).status).not.toBe(0)
        expect(await states()).toEqual(['sealed', 'open'])
        expect(await pageant('-D')).toMatchObject(ok)
        expect(await states()).toEqual([])
      })
    }
  })
})
