import { chmod, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { jest } from '@jest/globals'
import { type OurAgent, startOurAgent } from './agent-fixture.js'
import { type Home, temporaryHome } from './world/home.js'
import { peerPath } from './world/peers.js'
import { type RunResult, run, runOrThrow } from './world/run.js'
import { type SshAgent, startSshAgent } from './world/ssh-agent.js'

// `ssh-add` drives our agent and OpenSSH's side by side, with the same keys, and must not see a difference.

jest.setTimeout(60_000)

const types = [
  ['ed25519', []],
  ['ecdsa', ['-b', '256']],
  ['ecdsa', ['-b', '384']],
  ['ecdsa', ['-b', '521']],
  ['rsa', ['-b', '2048']],
  ['rsa', ['-b', '3072']],
] as const

let home: Home
let ours: OurAgent
let theirs: SshAgent
let files: string[]

beforeAll(async () => {
  home = await temporaryHome()
  files = await Promise.all(
    types.map(async ([type, size], index) => {
      const file = join(home.ssh, `key${index}`)
      const comment = index === 0 ? 'hana@büro two  spaces' : `number ${index}`
      await runOrThrow(peerPath('ssh-keygen'), ['-q', '-t', type, ...size, '-N', '', '-C', comment, '-f', file])
      return file
    }),
  )
  ours = await startOurAgent(home)
  theirs = await startSshAgent(home)
})

afterAll(async () => {
  await theirs.stop()
  await ours.stop()
  await home.dispose()
})

beforeEach(async () => {
  for (const { env } of [ours, theirs]) {
    await runOrThrow(peerPath('ssh-add'), ['-q', '-D'], { env })
    await runOrThrow(peerPath('ssh-add'), ['-q', ...files], { env })
  }
})

/** What `ssh-add` did with either agent; `answers` come from an askpass program, one line a question. */
async function addWithBoth(args: readonly string[], answer?: string): Promise<[RunResult, RunResult]> {
  const asked = answer === undefined ? {} : { SSH_ASKPASS: await askpass(answer), SSH_ASKPASS_REQUIRE: 'force' }
  const each = ({ env }: Pick<SshAgent, 'env'>) => run(peerPath('ssh-add'), args, { env: { ...env, ...asked } })
  return Promise.all([each(ours), each(theirs)])
}

async function askpass(answer: string): Promise<string> {
  const file = join(home.path, 'askpass')
  await writeFile(file, `#!/bin/sh\necho ${answer}\n`)
  await chmod(file, 0o700)
  return file
}

/** Both must print the same on both streams and end the same. Returns what that is. */
async function expectSame(args: readonly string[], answer?: string): Promise<RunResult> {
  const [mine, other] = await addWithBoth(args, answer)
  expect(mine).toEqual(other)
  return mine
}

test.each(['-l', '-L', '-l -E md5', '-l -E sha512'])('%s lists them all', async options => {
  const { status, stdout } = await expectSame(options.split(' '))
  expect(status).toBe(0)
  expect(stdout.trimEnd().split('\n')).toHaveLength(types.length)
  expect(stdout).toContain('hana@büro two  spaces')
})

test('-L prints the very lines of the public files', async () => {
  const lines = await Promise.all(files.map(file => readFile(`${file}.pub`, 'utf8')))
  expect((await expectSame(['-L'])).stdout).toBe(lines.join(''))
})

test('-T signs and verifies with every key, and refuses one that is not there', async () => {
  for (const file of files) expect(await expectSame(['-T', `${file}.pub`])).toMatchObject({ status: 0 })
  await expectSame(['-d', files[0] ?? ''])
  expect((await expectSame(['-T', `${files[0]}.pub`])).status).toBe(1)
})

test('-d removes one key by its file, and the others stay', async () => {
  for (const file of files) {
    expect(await expectSame(['-d', file])).toMatchObject({
      status: 0,
      stderr: expect.stringContaining('Identity removed'),
    })
    await expectSame(['-l'])
  }
  expect(await expectSame(['-l'])).toMatchObject({ status: 1, stdout: 'The agent has no identities.\n' })
})

test('-d of a key that is not there, of no key at all, and of a file that is missing', async () => {
  await expectSame(['-d', files[2] ?? ''])
  expect(await expectSame(['-d', files[2] ?? ''])).toMatchObject({
    status: 1,
    stderr: expect.stringContaining('agent refused operation'),
  })
  expect((await expectSame(['-d', join(home.path, 'askpass')], 'x')).status).toBe(1)
  expect((await expectSame(['-d', join(home.path, 'missing')])).status).toBe(1)
  await expectSame(['-l'])
})

test('-D removes all, twice', async () => {
  expect(await expectSame(['-D'])).toMatchObject({ status: 0, stderr: 'All identities removed.\n' })
  expect((await expectSame(['-D'])).status).toBe(0)
  expect((await expectSame(['-l'])).status).toBe(1)
  expect((await expectSame(['-L'])).status).toBe(1)
})

test('a key added again keeps its place and takes the new comment', async () => {
  await runOrThrow(peerPath('ssh-keygen'), ['-q', '-c', '-C', 'renamed', '-f', files[1] ?? ''])
  await expectSame([files[1] ?? ''])
  const { stdout } = await expectSame(['-l'])
  expect(stdout.split('\n')[1]).toContain(' renamed (ECDSA)')
})

test('-x locks and -X unlocks; meanwhile there are no keys, and nothing is taken', async () => {
  expect(await expectSame(['-x'], 'sesame')).toMatchObject({
    status: 0,
    stderr: expect.stringContaining('Agent locked.'),
  })
  expect(await expectSame(['-l'])).toMatchObject({ status: 1, stdout: 'The agent has no identities.\n' })
  expect((await expectSame(['-L'])).status).toBe(1)
  for (const refused of [['-T', `${files[0]}.pub`], ['-d', files[0] ?? ''], [files[0] ?? ''], ['-D']]) {
    expect(await expectSame(refused)).toMatchObject({ status: 1 })
  }
  expect((await expectSame(['-x'], 'other')).status).toBe(1)
  expect((await expectSame(['-X'], 'wrong')).status).toBe(1)
  expect((await expectSame(['-l'])).status).toBe(1)
  expect(await expectSame(['-X'], 'sesame')).toMatchObject({
    status: 0,
    stderr: expect.stringContaining('Agent unlocked.'),
  })
  const { stdout } = await expectSame(['-l'])
  expect(stdout.trimEnd().split('\n')).toHaveLength(types.length)
  // Unlocked, there is nothing to unlock.
  expect((await expectSame(['-X'], 'sesame')).status).toBe(1)
})

test.each(['-t 60', '-c'])(
  '%s: a condition that our agent does not keep yet is refused, never dropped',
  async options => {
    await runOrThrow(peerPath('ssh-add'), ['-q', '-d', files[0] ?? ''], { env: ours.env })
    const before = await runOrThrow(peerPath('ssh-add'), ['-l'], { env: ours.env })
    const refused = await run(peerPath('ssh-add'), [...options.split(' '), files[0] ?? ''], { env: ours.env })
    expect(refused).toMatchObject({ status: 1, stderr: expect.stringContaining('agent refused operation') })
    expect(await runOrThrow(peerPath('ssh-add'), ['-l'], { env: ours.env })).toEqual(before)
  },
)
