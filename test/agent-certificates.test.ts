import { readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { jest } from '@jest/globals'
import { makeKey, type NamedHost, startHost, wayTo } from './agent-hosts.js'
import { openSuiteWorld, type SuiteWorld } from './agent-suite.js'
import { listKeys } from './agent-terms.js'
import { connectRaw, string } from './agent-wire.js'
import { type Folder, temporaryFolder } from './world/folder.js'
import { newestSuites, ownSuite } from './world/newest.js'
import { residentKeytool } from './world/resident.js'
import type { RunResult } from './world/run.js'
import { createUser, type SystemUser } from './world/system-user.js'

// Keys with certificates, added by ssh-add and by our own command: real servers that know an authority alone let them in.

jest.setTimeout(120_000)

const REMOVE = 18
const SUCCESS = 6

/** By name: what ssh-keygen takes for it. */
const types = [
  ['ed25519', ['ed25519']],
  ['ecdsa 256', ['ecdsa', '-b', '256']],
  ['ecdsa 384', ['ecdsa', '-b', '384']],
  ['ecdsa 521', ['ecdsa', '-b', '521']],
  ['rsa', ['rsa', '-b', '2048']],
] as const
/** From OpenSSH 10.4 on; this machine's server may know none of it. */
const newType = 'mldsa44-ed25519'

let folder: Folder
let authority: string
let user: SystemUser
let shop: NamedHost
let gate: NamedHost

beforeAll(async () => {
  folder = await temporaryFolder()
  user = await createUser()
  authority = join(folder.path, 'authority')
  await makeKey(authority)
  const options = { users: [user], config: [`TrustedUserCAKeys ${authority}.pub`] }
  shop = await startHost('shop.example', options)
  gate = await startHost('gate.example', options)
})

afterAll(async () => {
  await shop?.sshd.stop()
  await gate?.sshd.stop()
  await user?.dispose()
  await folder?.dispose()
})

describe.each([ownSuite(), ...newestSuites()])('with OpenSSH of Debian $name', suite => {
  let world: SuiteWorld

  beforeAll(async () => {
    world = await openSuiteWorld(suite)
    await writeFile(join(world.home.ssh, 'known_hosts'), `${shop.knownHosts}${gate.knownHosts}`)
    // Its ssh-keygen sees no files elsewhere.
    for (const end of ['', '.pub']) {
      await writeFile(join(world.home.ssh, `authority${end}`), await readFile(`${authority}${end}`), { mode: 0o600 })
    }
  })
  afterAll(() => world.dispose())
  beforeEach(async () => {
    await world.runOrThrow('ssh-add', ['-q', '-D'])
    for (const end of ['', '.pub', '-cert.pub']) await rm(join(world.home.ssh, `id${end}`), { force: true })
  })

  const inside = (name: string) => world.inside(join(world.home.ssh, name))

  interface Pair {
    readonly plain: Buffer
    readonly certificate: Buffer
  }

  /** Makes `id`, and a certificate of it for the user, or for nobody where this ssh-keygen has no such type. */
  async function makePair(type: readonly string[], validity = 'always:forever'): Promise<Pair | undefined> {
    const made = await world.run('ssh-keygen', ['-q', '-t', ...type, '-N', '', '-C', 'hana', '-f', inside('id')])
    if (made.status !== 0 && /unknown key type/i.test(made.stderr)) return undefined
    expect(made).toMatchObject({ status: 0 })
    const how = ['-q', '-s', inside('authority'), '-I', 'order 7', '-n', user.name, '-V', validity]
    await world.runOrThrow('ssh-keygen', [...how, inside('id.pub')])
    return { plain: await readBlob('id.pub'), certificate: await readBlob('id-cert.pub') }
  }

  async function readBlob(name: string): Promise<Buffer> {
    const line = await readFile(join(world.home.ssh, name), 'utf8')
    return Buffer.from(line.split(' ')[1] ?? '', 'base64')
  }

  function logIn(host: NamedHost, socket = world.agent.socket): Promise<RunResult> {
    const seen = { ...world.home, ssh: world.inside(world.home.ssh) }
    return world.run('ssh', [...wayTo(host, user, seen), 'echo in'], { socket })
  }

  async function held(): Promise<Buffer[]> {
    return (await listKeys(world.agent.socket)).map(({ blob }) => Buffer.from(blob, 'base64'))
  }

  const isIn = { status: 0, stdout: 'in\n', stderr: '' }
  const isOut = { status: 255, stdout: '', stderr: expect.stringContaining('Permission denied') }

  test.each(types)('%s: in by the certificate alone', async (name, type) => {
    const pair = await makePair(type)
    if (!pair) throw new Error(`no ${name}`)
    expect((await world.run('ssh-add', [inside('id')])).stderr).toMatch(/Identity added:.*\n(.*\n)*Certificate added:/)
    expect(await held()).toEqual([pair.plain, pair.certificate])
    await world.runOrThrow('ssh-add', ['-T', inside('id.pub')])
    await world.runOrThrow('ssh-add', ['-T', inside('id-cert.pub')])
    await rm(join(world.home.ssh, 'id'))

    expect(await logIn(shop)).toMatchObject(isIn)
    // Only the certificate can have done it: there is no authorized_keys.
    await shop.sshd.waitForLog(/Accepted publickey for \S+ from .*-CERT SHA256:\S+ ID order 7 .* CA ED25519 SHA256:/)

    const client = await connectRaw(world.agent.socket)
    expect((await client.ask(REMOVE, string(pair.certificate)))[0]).toBe(SUCCESS)
    client.destroy()
    expect(await held()).toEqual([pair.plain])
    expect(await logIn(shop)).toMatchObject(isOut)
  })

  test.each([...types, [newType, [newType]] as const])(
    '%s: its conditions hold for both halves',
    async (name, type) => {
      const pair = await makePair(type)
      if (!pair) {
        expect(name).toBe(newType)
        return
      }
      const conditions = ['-t', '1h', '-c', '-H', inside('known_hosts'), '-h', `${user.name}@shop.example`]
      await world.runOrThrow('ssh-add', ['-q', ...conditions, inside('id')])
      expect(await listKeys(world.agent.socket)).toMatchObject(
        [pair.plain, pair.certificate].map(blob => ({
          blob: blob.toString('base64'),
          lifetime: 3600,
          confirm: true,
          destinations: [`${user.name}@shop.example`],
        })),
      )
      for (const file of ['id.pub', 'id-cert.pub']) {
        expect((await world.run('ssh-add', ['-T', inside(file)])).status).toBe(1)
      }
      if (name === newType) return
      // Up to 10.5 ssh would sign with the key, which shows no certificate: see below.
      await world.runOrThrow('ssh-add', ['-q', '-k', '-d', inside('id')])
      await world.answerQuestions('no')
      expect(await logIn(shop)).toMatchObject({ status: 255, stdout: '' })
      await world.answerQuestions('yes')
      expect(await logIn(shop)).toMatchObject(isIn)
      expect(await logIn(gate)).toMatchObject(isOut)
      // Without conditions, the other host lets it in.
      await world.runOrThrow('ssh-add', ['-q', inside('id')])
      expect(await logIn(gate)).toMatchObject(isIn)
    },
  )

  test('both halves for one host only: in as with ssh-agent, or as little', async () => {
    const theirs = await world.startTheirAgent()
    await makePair(['ed25519'])
    const statuses: (number | null)[][] = []
    for (const socket of [world.agent.socket, theirs]) {
      await world.runOrThrow('ssh-add', ['-q', '-H', inside('known_hosts'), '-h', 'shop.example', inside('id')], {
        socket,
      })
      statuses.push([(await logIn(shop, socket)).status, (await logIn(gate, socket)).status])
    }
    expect(statuses[0]).toEqual(statuses[1])
    expect(statuses[0]?.[1]).toBe(255)
  })

  test('-d removes both; -k -d leaves the certificate', async () => {
    const pair = await makePair(['ed25519'])
    await world.runOrThrow('ssh-add', ['-q', inside('id')])
    await world.runOrThrow('ssh-add', ['-q', '-k', '-d', inside('id')])
    expect(await held()).toEqual([pair?.certificate])
    expect(await logIn(shop)).toMatchObject(isIn)
    await world.runOrThrow('ssh-add', ['-q', inside('id')])
    await world.runOrThrow('ssh-add', ['-q', '-d', inside('id')])
    expect(await held()).toEqual([])
  })

  test('one that ends soon goes soon after, where ssh-add says so; with -N it stays', async () => {
    await makePair(['ed25519'], '-1h:+1h')
    await world.runOrThrow('ssh-add', ['-q', inside('id')])
    const [plain, certificate] = await listKeys(world.agent.socket)
    expect(plain?.lifetime).toBeNull()
    const kept = await world.run('ssh-add', ['-q', '-N', inside('id')])
    if (kept.stderr.startsWith('unknown option -- N')) {
      expect(certificate?.lifetime).toBeNull()
      return
    }
    // Five minutes more, for clocks that differ.
    expect(certificate?.lifetime).toBeGreaterThan(3600 + 240)
    expect(certificate?.lifetime).toBeLessThanOrEqual(3600 + 300)
    expect((await listKeys(world.agent.socket)).map(({ lifetime }) => lifetime)).toEqual([null, null])
  })

  test('one that is over lets nobody in', async () => {
    await makePair(['ed25519'], '-2h:-1h')
    await world.run('ssh-add', ['-q', inside('id')])
    expect(await logIn(shop)).toMatchObject(isOut)
  })
})

test.each(types)('%s: keytool add takes the certificate along, of an encrypted file too', async (_, type) => {
  const world = await openSuiteWorld(ownSuite())
  try {
    const { env } = world.agent
    const file = join(world.home.ssh, 'id')
    const passphrase = join(world.home.path, 'passphrase')
    await writeFile(passphrase, 'sesame\n', { mode: 0o600 })
    await writeFile(join(world.home.ssh, 'known_hosts'), shop.knownHosts)
    for (const words of ['', 'sesame']) {
      await makeKey(file, '-N', words, '-t', ...type)
      await world.runOrThrow('ssh-keygen', ['-q', '-s', authority, '-I', 'order 8', '-n', user.name, `${file}.pub`])
      expect(await residentKeytool(['add', '--passphrase-file', passphrase, file], { env })).toMatchObject({
        status: 0,
        stdout: expect.stringMatching(/\)\n.*-CERT\)/),
      })
      for (const end of ['', '.pub', '-cert.pub']) await rm(`${file}${end}`)
      expect(await world.run('ssh', [...wayTo(shop, user, world.home), 'echo in'])).toMatchObject({ stdout: 'in\n' })
      expect((await residentKeytool(['remove', '--all'], { env })).status).toBe(0)
    }
    await shop.sshd.waitForLog(/Accepted publickey for \S+ from .*-CERT SHA256:\S+ ID order 8 /)
  } finally {
    await world.dispose()
  }
})
