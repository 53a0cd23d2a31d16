import { constants } from 'node:fs'
import { copyFile, open, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { jest } from '@jest/globals'
import { openssh } from '../packages/keygen/src/formats/openssh.js'
import { sampleKey } from '../packages/keygen/test/sample-keys.js'
import { openSuiteWorld, type SuiteWorld } from './agent-suite.js'
import { newestSuites, ownSuite } from './world/newest.js'
import { residentKeytool } from './world/resident.js'
import { type RunResult, run } from './world/run.js'

// `ssh-add`, with every flag it has, drives our agent and OpenSSH's of the same version side by side, with the same keys,
// and must not see a difference. Where one is meant, the test says so.

jest.setTimeout(120_000)

const types = [
  ['ed25519', []],
  ['ecdsa', ['-b', '256']],
  ['ecdsa', ['-b', '384']],
  ['ecdsa', ['-b', '521']],
  ['rsa', ['-b', '2048']],
  ['rsa', ['-b', '3072']],
  // From OpenSSH 10.4 on.
  ['mldsa44-ed25519', []],
] as const

describe.each([ownSuite(), ...newestSuites()])('the ssh-add of Debian $name', suite => {
  let world: SuiteWorld
  /** Their agent's socket. */
  let theirs: string
  /** Private key files, as ssh-add calls them. */
  let files: string[]
  let first: string

  beforeAll(async () => {
    world = await openSuiteWorld(suite)
    const made = await Promise.all(
      types.map(async ([type, size], index) => {
        const file = inside(`key${index}`)
        const comment = index === 0 ? 'hana@büro two  spaces' : `number ${index}`
        const args = ['-q', '-t', type, ...size, '-N', '', '-C', comment, '-f', file]
        const { status, stderr } = await world.run('ssh-keygen', args)
        if (status === 0) return file
        expect({ type, stderr }).toEqual({
          type: 'mldsa44-ed25519',
          stderr: expect.stringMatching(/unknown key type/i),
        })
        return undefined
      }),
    )
    files = made.filter(file => file !== undefined)
    first = files[0] ?? ''
    theirs = await world.startTheirAgent()
  })

  afterAll(() => world.dispose())

  beforeEach(async () => {
    for (const socket of [world.agent.socket, theirs]) {
      await world.runOrThrow('ssh-add', ['-q', '-D'], { socket })
      await world.runOrThrow('ssh-add', ['-q', ...files], { socket })
    }
  })

  /** A path in the home, as ssh-add calls it. */
  function inside(name: string): string {
    return world.inside(outside(name))
  }

  function outside(name: string): string {
    return join(world.home.ssh, name)
  }

  /** Both must print the same on both streams and end the same. Returns what that is. */
  async function expectSame(args: readonly string[], answer?: string, input?: string): Promise<RunResult> {
    const options = { ...(answer !== undefined && { answer }), ...(input !== undefined && { input }) }
    const [mine, other] = await Promise.all([
      world.run('ssh-add', args, options),
      world.run('ssh-add', args, { ...options, socket: theirs }),
    ])
    expect({ args, ...mine }).toEqual({ args, ...other })
    return mine
  }

  /** Only ours. */
  function mine(args: readonly string[], answer?: string): Promise<RunResult> {
    return world.run('ssh-add', args, answer === undefined ? {} : { answer })
  }

  async function list(): Promise<string[]> {
    const { stdout } = await expectSame(['-l'])
    return stdout.trimEnd().split('\n')
  }

  /** What our agent knows of the key added last. */
  async function lastKey(): Promise<Record<string, unknown>> {
    const { stdout } = await residentKeytool(['list', '--json'], { env: world.agent.env })
    return JSON.parse(stdout).at(-1)
  }

  test.each(['-l', '-L', '-l -E md5', '-l -E sha512', '-v -l', '-v -L'])('%s lists them all', async options => {
    const { status, stdout } = await expectSame(options.split(' '))
    expect(status).toBe(0)
    expect(stdout.trimEnd().split('\n')).toHaveLength(files.length)
    expect(stdout).toContain('hana@büro two  spaces')
  })

  test('-L prints the very lines of the public files', async () => {
    const lines = await Promise.all(
      files.map(file => readFile(`${outside(file.slice(file.lastIndexOf('/') + 1))}.pub`, 'utf8')),
    )
    expect((await expectSame(['-L'])).stdout).toBe(lines.join(''))
  })

  test('-T signs and verifies with every key, and refuses one that is not there', async () => {
    for (const file of files) expect(await expectSame(['-T', `${file}.pub`])).toMatchObject({ status: 0 })
    expect(await expectSame(['-vT', ...files.map(file => `${file}.pub`)])).toMatchObject({ status: 0 })
    await expectSame(['-d', first])
    expect((await expectSame(['-T', `${first}.pub`])).status).toBe(1)
    expect((await expectSame(['-T'])).status).not.toBe(0)
  })

  test('-d removes one key by its file, and the others stay', async () => {
    for (const file of files) {
      expect(await expectSame(['-d', file])).toMatchObject({
        status: 0,
        stderr: expect.stringContaining('Identity removed'),
      })
      await list()
    }
    expect(await expectSame(['-l'])).toMatchObject({ status: 1, stdout: 'The agent has no identities.\n' })
  })

  test('-d of a key that is not there, of no key at all, and of a file that is missing', async () => {
    await expectSame(['-d', files[2] ?? ''])
    expect(await expectSame(['-d', files[2] ?? ''])).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('agent refused operation'),
    })
    await writeFile(outside('no-key'), 'not a key\n', { mode: 0o600 })
    expect((await expectSame(['-d', inside('no-key')], 'x')).status).toBe(1)
    expect((await expectSame(['-d', inside('missing')])).status).toBe(1)
    await list()
  })

  test('-D removes all, twice', async () => {
    expect(await expectSame(['-D'])).toMatchObject({ status: 0, stderr: 'All identities removed.\n' })
    expect((await expectSame(['-D'])).status).toBe(0)
    expect((await expectSame(['-l'])).status).toBe(1)
    expect((await expectSame(['-L'])).status).toBe(1)
  })

  test('-q says nothing when it adds and removes', async () => {
    const silent = { status: 0, stdout: '', stderr: '' }
    for (const args of [
      ['-q', '-d', first],
      ['-q', first],
      ['-q', '-t', '60', '-c', first],
      ['-q', '-D'],
    ]) {
      expect(await expectSame(args)).toMatchObject(silent)
    }
    expect((await expectSame(['-l'])).status).toBe(1)
  })

  test('a key added again keeps its place and takes the new comment', async () => {
    await world.runOrThrow('ssh-keygen', ['-q', '-c', '-C', 'renamed', '-f', files[1] ?? ''])
    await expectSame([files[1] ?? ''])
    expect((await list())[1]).toContain(' renamed (ECDSA)')
  })

  test('a key from standard input, and one with a passphrase that is asked for', async () => {
    await expectSame(['-D'])
    expect((await expectSame(['-'], undefined, await readFile(outside('key0'), 'utf8'))).status).toBe(0)
    await copyFile(outside('key1'), outside('encrypted'))
    await world.runOrThrow('ssh-keygen', ['-q', '-p', '-P', '', '-N', 'sesame', '-f', inside('encrypted')])
    expect((await expectSame([inside('encrypted')])).status).toBe(1)
    expect((await expectSame([inside('encrypted')], 'sesame')).status).toBe(0)
    expect(await list()).toHaveLength(2)
  })

  test('-x locks and -X unlocks; meanwhile there are no keys, and nothing is taken', async () => {
    expect(await expectSame(['-x'], 'sesame')).toMatchObject({
      status: 0,
      stderr: expect.stringContaining('Agent locked.'),
    })
    expect(await expectSame(['-l'])).toMatchObject({ status: 1, stdout: 'The agent has no identities.\n' })
    expect((await expectSame(['-L'])).status).toBe(1)
    for (const refused of [['-T', `${first}.pub`], ['-d', first], [first], ['-t', '60', first], ['-D']]) {
      expect(await expectSame(refused)).toMatchObject({ status: 1 })
    }
    expect((await expectSame(['-x'], 'other')).status).toBe(1)
    expect((await expectSame(['-X'], 'wrong')).status).toBe(1)
    expect((await expectSame(['-l'])).status).toBe(1)
    expect(await expectSame(['-X'], 'sesame')).toMatchObject({
      status: 0,
      stderr: expect.stringContaining('Agent unlocked.'),
    })
    expect(await list()).toHaveLength(files.length)
    // Unlocked, there is nothing to unlock.
    expect((await expectSame(['-X'], 'sesame')).status).toBe(1)
  })

  test('-t gives a lifetime, in seconds and in units; one that is none reaches no agent', async () => {
    for (const [time, seconds] of [
      ['90', 90],
      ['10m', 600],
      ['1h30m', 5400],
      ['2147483647', 2147483647],
    ] as const) {
      await expectSame(['-d', first])
      expect(await expectSame(['-t', time, first])).toMatchObject({ status: 0 })
      expect(await lastKey()).toMatchObject({ lifetime: seconds, confirm: false, destinations: [] })
    }
    expect((await expectSame(['-t', 'soon', first])).status).toBe(1)
    // No lifetime at all: it is not even sent.
    await expectSame(['-d', first])
    expect((await expectSame(['-t', '0', first])).status).toBe(0)
    expect(await lastKey()).toMatchObject({ lifetime: null })
    expect(await list()).toHaveLength(files.length)
  })

  test('-c: what is asked at every use decides', async () => {
    await expectSame(['-d', first])
    expect(await expectSame(['-c', first])).toMatchObject({
      status: 0,
      stderr: expect.stringContaining('must confirm each use'),
    })
    for (const [answer, status] of [
      ['yes', 0],
      ['no', 1],
      ['yes', 0],
    ] as const) {
      await world.answerQuestions(answer)
      expect(await expectSame(['-T', `${first}.pub`])).toMatchObject({ status })
      expect((await expectSame(['-T', `${files[1]}.pub`])).status).toBe(0)
    }
    // Added once more without it, it is not asked about any more.
    await world.answerQuestions('no')
    await expectSame([first])
    expect((await expectSame(['-T', `${first}.pub`])).status).toBe(0)
  })

  test('-h and -H: only for these hosts, which nothing but a login can prove', async () => {
    const [type, blob] = (await readFile(outside('key1.pub'), 'utf8')).split(' ')
    await writeFile(outside('hosts'), `gate.example ${type} ${blob}\nshop.example ${type} ${blob}\n`)
    const steps = ['-H', inside('hosts'), '-h', 'gate.example', '-h', 'gate.example>hana@shop.example']
    await expectSame(['-d', first])
    expect(await expectSame([...steps, first])).toMatchObject({ status: 0 })
    expect(await lastKey()).toMatchObject({ destinations: ['gate.example', 'gate.example>hana@shop.example'] })
    expect((await list()).at(-1)).toContain('hana@büro')
    expect((await expectSame(['-T', `${first}.pub`])).status).toBe(1)
    expect((await expectSame(['-d', first])).status).toBe(0)
    expect((await expectSame(['-H', inside('hosts'), '-h', 'nobody.example', first])).status).not.toBe(0)
    expect((await expectSame(['-H', inside('missing'), '-h', 'gate.example', first])).status).not.toBe(0)
    expect(await list()).toHaveLength(files.length - 1)
  })

  test('-t, -c and -h together', async () => {
    const [type, blob] = (await readFile(outside('key1.pub'), 'utf8')).split(' ')
    await writeFile(outside('hosts'), `gate.example ${type} ${blob}\n`)
    await expectSame(['-d', first])
    await expectSame(['-c', '-t', '1h', '-H', inside('hosts'), '-h', 'gate.example', first])
    expect(await lastKey()).toMatchObject({ lifetime: 3600, confirm: true, destinations: ['gate.example'] })
  })

  test('-k and -C: the key alone, and its certificate alone', async () => {
    await copyFile(outside('key0'), outside('certified'))
    await copyFile(outside('key0.pub'), outside('certified.pub'))
    await world.runOrThrow('ssh-keygen', ['-q', '-s', files[1] ?? '', '-I', 'hana', inside('certified.pub')])
    for (const [flags, kinds] of [
      [[], ['(ED25519)', '(ED25519-CERT)']],
      [['-k'], ['(ED25519)']],
      [['-C'], ['(ED25519-CERT)']],
    ] as const) {
      await expectSame(['-D'])
      // With -C its status is 1, whatever it did.
      const { stderr } = await expectSame([...flags, inside('certified')])
      // OpenSSH 9.2 has no -C.
      if (stderr.startsWith('unknown option -- C')) continue
      expect({ flags, stderr }).toEqual({ flags, stderr: expect.stringContaining(' added: ') })
      expect((await list()).map(line => line.split(' ').at(-1))).toEqual(kinds)
      await expectSame([...flags, '-d', inside('certified')])
      expect((await expectSame(['-l'])).status).toBe(1)
    }
  })

  test('-s and -e: a smartcard is refused as by an agent that allows no provider, and nothing is opened', async () => {
    // Whoever opened it for reading would be there to be written to.
    await run('/usr/bin/mkfifo', ['-m', '600', outside('provider.so')])
    for (const args of [['-s'], ['-e'], ['-t', '60', '-s'], ['-c', '-s'], ['-q', '-s']]) {
      const { status, stderr } = await mine([...args, inside('provider.so')], '1234')
      expect({ args, status, stderr }).toEqual({
        args,
        status: 1,
        stderr: expect.stringMatching(/^Could not (add|remove) card ".*": agent refused operation\n$/),
      })
      const reached = open(outside('provider.so'), constants.O_WRONLY | constants.O_NONBLOCK)
      await expect(reached).rejects.toMatchObject({ code: 'ENXIO' })
    }
    for (const flag of ['-s', '-e']) expect((await expectSame([flag, '/nonexistent.so'], '1234')).status).toBe(1)
    await list()
  })

  test('-S: a provider that no key needs is not sent; a key in a token is refused, and its provider with it', async () => {
    await expectSame(['-d', first])
    expect((await expectSame(['-S', '/nonexistent.so', first])).status).toBe(0)
    for (const type of ['ed25519-sk', 'ecdsa-sk']) {
      await writeFile(outside(type), await openssh.write(await sampleKey(type, type)), { mode: 0o600 })
      expect(await expectSame(['-S', '/nonexistent.so', inside(type)])).toMatchObject({ status: 1 })
      // Theirs takes it: it can speak to tokens.
      for (const flags of [[], ['-S', 'internal'], ['-c', '-t', '60']]) {
        expect(await mine([...flags, inside(type)])).toMatchObject({
          status: 1,
          stderr: expect.stringContaining('agent refused operation'),
        })
      }
    }
    expect(await list()).toHaveLength(files.length)
  })

  test('-K, without a token: nothing reaches the agent', async () => {
    expect(await expectSame(['-K'], '1234')).toMatchObject({ status: 1 })
    expect(await list()).toHaveLength(files.length)
  })

  test('-N, -m and -M: what one version knows and another does not is the same with both', async () => {
    for (const flags of [['-N'], ['-m', '3'], ['-M', '3'], ['-m', '3', '-M', '3']]) {
      await expectSame(['-d', first])
      await expectSame([...flags, first])
      await list()
    }
  })

  test('-Q, where it is there, lists what our agent can', async () => {
    const { status, stdout, stderr } = await mine(['-Q'])
    if (status === 0) {
      const names = stdout.split('\n')
      for (const name of ['session-bind@openssh.com', 'reencrypt-all@putty.projects.tartarus.org']) {
        expect(names).toContain(name)
      }
    } else {
      expect(stderr).toContain('usage: ssh-add')
      expect(stderr).not.toContain(' -Q')
    }
  })

  test.each(['-l -L', '-x -X', '-E nonsense -l', '-?', '-l -D', '-s'])(
    '%s: what contradicts itself changes nothing',
    async options => {
      expect((await expectSame(options.split(' '), 'sesame')).status).not.toBe(0)
      expect(await list()).toHaveLength(files.length)
    },
  )
})
