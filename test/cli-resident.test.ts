import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { jest } from '@jest/globals'
import { type Home, temporaryHome } from './world/home.js'
import { peerPath } from './world/peers.js'
import { residentKeytool } from './world/resident.js'
import { keytool, type RunOptions, type RunResult, runOrThrow } from './world/run.js'

// Many tests run the program's lines in a process that stays. What a line does and says there is what it does in a process
// of its own, and no line knows of those before it.

jest.setTimeout(120_000)

type Runner = (args: readonly string[], options: RunOptions) => Promise<RunResult>

const lines: readonly (readonly [line: string, input: string])[] = [
  ['', ''],
  ['--version', ''],
  ['--help', ''],
  ['gen --help', ''],
  ['frobnicate', ''],
  ['gen -t ed25519 -f made -C c --no-passphrase --quiet', ''],
  ['gen -f never', ''],
  ['gen -f sealed --passphrase-file - --rounds 1', 'secret\n'],
  ['inspect key', ''],
  ['inspect key --json', ''],
  ['inspect absent --json', ''],
  ['fingerprint key --art', ''],
  ['public key', ''],
  ['public key -o key.pub', ''],
  ['convert key --to ppk', ''],
  ['convert key --to jwk --no-passphrase', ''],
  ['convert key --to openssh -o out --new-passphrase-file secret --rounds 1', ''],
  ['passphrase key --passphrase-file secret', ''],
  ['comment key another', ''],
  ['session save mail hana@mail.example -L 1110:localhost:110', ''],
  ['session show mail --json', ''],
  ['list', ''],
  ['list --json', ''],
  ['add key', ''],
  ['agent status', ''],
  ['log', ''],
  ['tunnel absent', ''],
]

let homes: readonly [own: Home, resident: Home]

beforeAll(async () => {
  homes = [await temporaryHome(), await temporaryHome()]
  const [first, second] = homes
  const args = ['-q', '-t', 'ed25519', '-N', '', '-C', 'c', '-f', join(first.path, 'key')]
  await runOrThrow(peerPath('ssh-keygen'), args, { env: first.env })
  for (const name of ['key', 'key.pub']) {
    await writeFile(join(second.path, name), await readFile(join(first.path, name)), { mode: 0o600 })
  }
  for (const { path } of homes) await writeFile(join(path, 'secret'), 'secret\n')
})
afterAll(async () => {
  for (const home of homes) await home.dispose()
})

/** What came of a line: what it said, its status, and the names of all files there are then. */
async function outcomeOf(runner: Runner, home: Home, line: string, input: string) {
  const args = line.split(' ').filter(Boolean)
  const { status, signal, stdout, stderr } = await runner(args, { env: home.env, cwd: home.path, input })
  // What is drawn anew each time, and the one path that differs.
  const clean = (text: string) => text.replaceAll(home.path, 'HOME').replace(/\b(SHA256:)?[\w+/]{43}\b=?/g, 'DRAWN')
  return {
    status,
    signal,
    stdout: clean(stdout),
    stderr: clean(stderr),
    files: (await readdir(home.path, { recursive: true })).sort(),
  }
}

// In this order, and the resident ones in one process: what a line leaves behind in memory would show in the next.
test.each(lines)('keytool %s', async (line, input) => {
  const [own, resident] = homes
  expect(await outcomeOf(residentKeytool, resident, line, input)).toEqual(await outcomeOf(keytool, own, line, input))
})

test('one that takes too long is ended, and the next line finds another process', async () => {
  const [, { env, path: cwd }] = homes
  await runOrThrow('/usr/bin/mkfifo', [join(cwd, 'fifo')])
  const waiting = residentKeytool(['convert', 'sealed', '--to', 'ppk', '--passphrase-file', 'fifo'], {
    env,
    cwd,
    timeoutMs: 500,
  })
  await expect(waiting).rejects.toThrow(/took over 500 ms/)
  expect(await residentKeytool(['--version'], { env, cwd })).toMatchObject({ status: 0, stderr: '' })
})
