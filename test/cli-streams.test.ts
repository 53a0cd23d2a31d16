import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { jest } from '@jest/globals'
import { succeed } from './cli-fixture.js'
import { type Home, temporaryHome } from './world/home.js'
import { keytoolPath, type RunResult, run } from './world/run.js'

// A reader that goes away, a disk that is full, streams that are closed.

jest.setTimeout(90_000)

let home: Home

beforeAll(async () => {
  home = await temporaryHome()
  await succeed(home, ['gen', '--no-passphrase', '-f', 'key', '-C', 'c'])
  // More than a pipe holds.
  const line = await readFile(join(home.path, 'key.pub'), 'utf8')
  await writeFile(join(home.path, 'many.pub'), line.repeat(3000))
})
afterAll(() => home.dispose())

/** Each call with its name. */
const named = (...calls: readonly string[][]) => calls.map(args => ({ name: ['keytool', ...args].join(' '), args }))

/** Runs a script of bash that calls the program as "$@" does. */
function inBash(script: string, ...args: string[]): Promise<RunResult> {
  const call = [process.execPath, keytoolPath, ...args]
  return run('/bin/bash', ['-c', script, 'bash', ...call], { env: home.env, cwd: home.path })
}

const printing = [
  ['inspect', 'many.pub'],
  ['inspect', 'many.pub', '--json'],
  ['fingerprint', 'many.pub'],
  ['fingerprint', 'many.pub', '--art'],
]

test.each(named(...printing))('$name into head -1 ends quietly', async ({ args }) => {
  const result = await inBash('set -o pipefail; "$@" | head -n 1 >/dev/null; echo $?', ...args)
  expect(result.stderr).toBe('')
  // 141 is what a shell makes of SIGPIPE, the usual end of such a program.
  expect(['0\n', '141\n']).toContain(result.stdout)
})

test.each(named(...printing, ['public', 'key'], ['convert', 'key', '--to', 'ppk'], ['--help'], []))(
  '$name into a pipe that nobody reads ends quietly',
  async ({ args }) => {
    const { stdout, stderr } = await inBash('set -o pipefail; "$@" | true; echo $?', ...args)
    expect(stderr).toBe('')
    expect(['0\n', '141\n']).toContain(stdout)
  },
)

test('everything reaches a slow reader', async () => {
  const { stdout } = await inBash('"$@" | { sleep 0.5; wc -l; }', 'fingerprint', 'many.pub')
  expect(stdout.trim()).toBe('3000')
})

test.each(named(...printing, ['public', 'key'], ['convert', 'key', '--to', 'ppk'], ['--help'], ['--version'], []))(
  '$name onto a full disk: 1, and a clear error',
  async ({ args }) => {
    const { status, stderr } = await inBash('"$@" >/dev/full', ...args)
    // A stack would show the whole bundle.
    expect(stderr.slice(0, 300)).toMatch(/^(keytool: |\{"error").*(full|ENOSPC|no space)/)
    expect(stderr.trimEnd().split('\n').length).toBeLessThanOrEqual(3)
    expect(status).toBe(1)
  },
)

test('errors onto a full disk: the status still tells', async () => {
  expect(await inBash('"$@" 2>/dev/full', 'inspect', 'absent')).toMatchObject({ status: 3, stdout: '', stderr: '' })
})

test.each(['>&-', '2>&-', '<&-', '>&- 2>&- <&-'])('closed streams, %s: no stack, no crash', async closed => {
  const refused = await inBash(`"$@" ${closed}`, 'inspect', 'absent')
  expect(refused.status).toBe(3)
  expect(refused.stderr).not.toMatch(/\n\s+at /)
  const needed = await inBash(`"$@" ${closed}`, 'gen', '-f', 'never')
  expect(needed.status).toBe(5)
  const made = await inBash(`"$@" ${closed}`, 'convert', 'key', '--to', 'ppk', '-o', 'out', '--force')
  expect(made.status).toBe(0)
  expect(await readFile(join(home.path, 'out'), 'utf8')).toMatch(/^PuTTY-User-Key-File-3/)
})
