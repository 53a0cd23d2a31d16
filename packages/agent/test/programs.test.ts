import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, copyFile, rm, symlink, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import type { ProgramReader, Sighting } from '../src/platform/peer-source.js'
import { nameOf, tracePrograms, wordsOf } from '../src/platform/programs.js'
import { splitArguments } from '../src/platform/programs-darwin.js'
import { argumentsOnLinux, lookOnLinux } from '../src/platform/programs-linux.js'
import { later, makeTemporary } from './support.js'

/** A system with so many programs: pid, name, parent, start, and whether it leads a session. */
function systemOf(...rows: readonly [number, string, number, number, boolean?][]): ProgramReader {
  const found = rows.map(([pid, name, parent, start, leads = false]): [number, Sighting] => [
    pid,
    { program: { pid, name, path: `/usr/bin/${name}` }, parent, start, leads },
  ])
  const seen = new Map(found)
  return { look: pid => seen.get(pid), argumentsOf: () => [] }
}

function namesFrom(pid: number, reader: ProgramReader): string[] {
  return tracePrograms(pid, reader).map(({ name }) => name)
}

describe('the programs behind a connection', () => {
  test.each(['sh', 'bash', 'dash', 'zsh', 'fish', 'pwsh', 'nu', 'login', 'systemd'])('end before %s', shell => {
    const reader = systemOf([40, 'ssh', 30, 9], [30, 'git', 20, 8], [20, shell, 10, 7], [10, 'terminal', 1, 6])
    expect(namesFrom(40, reader)).toEqual(['ssh', 'git'])
  })

  test.each([
    [['sh', '-c', 'ssh -v "$@"'], true],
    [['bash', '-lc', 'git push'], true],
    [['bash', '--norc', '-eo', 'pipefail', '-c', 'git push'], true],
    [['bash'], false],
    [['-bash'], false],
    [['bash', '-l'], false],
    [['sh', 'backup', '-c'], false],
    [[], false],
  ])('pass over a shell that was started as %j: %s', (words, isPassed) => {
    const system = systemOf([40, 'ssh', 30, 9], [30, 'sh', 20, 8], [20, 'git', 10, 7], [10, 'bash', 2, 6])
    const reader = { ...system, argumentsOf: (pid: number) => (pid === 30 ? words : []) }
    expect(namesFrom(40, reader)).toEqual(isPassed ? ['ssh', 'git'] : ['ssh'])
    // Where a session begins with it there is nobody behind it.
    const leading = systemOf([40, 'ssh', 30, 9], [30, 'sh', 20, 8, true], [20, 'cron', 10, 7])
    expect(namesFrom(40, { ...leading, argumentsOf: () => words })).toEqual(['ssh'])
  })

  test('end before what leads a session, and before the first process', () => {
    expect(namesFrom(40, systemOf([40, 'editor', 30, 9], [30, 'desktop', 1, 8, true]))).toEqual(['editor'])
    expect(namesFrom(40, systemOf([40, 'ssh', 1, 9], [1, 'tini', 0, 1]))).toEqual(['ssh'])
  })

  test('have what leads a session among them where it starts a client of SSH by itself, and end there', () => {
    const leader = [30, 'git', 20, 8, true] as [number, string, number, number, boolean]
    expect(namesFrom(40, systemOf([40, 'ssh', 30, 9], leader, [20, 'desktop', 1, 7]))).toEqual(['ssh', 'git'])
    expect(namesFrom(40, systemOf([40, 'ssh', 30, 9], [30, 'bash', 20, 8, true]))).toEqual(['ssh'])
  })

  test('begin with what connected, whatever it is', () => {
    expect(namesFrom(40, systemOf([40, 'zsh', 30, 9, true], [30, 'tmux', 1, 8]))).toEqual(['zsh', 'tmux'])
  })

  test('leave out a parent younger than its child: it only has the number', () => {
    expect(namesFrom(40, systemOf([40, 'ssh', 30, 9], [30, 'git', 1, 10]))).toEqual(['ssh'])
    expect(namesFrom(40, systemOf([40, 'ssh', 30, 9], [30, 'git', 1, 9]))).toEqual(['ssh', 'git'])
  })

  test('count one that calls itself once, by the process nearest', () => {
    const reader = systemOf([40, 'ssh', 30, 9], [30, 'git', 20, 8], [20, 'git', 10, 7], [10, 'code', 2, 6])
    expect(tracePrograms(40, reader).map(({ pid }) => pid)).toEqual([40, 30, 10])
  })

  test('are eight at most, and a ring of parents ends', () => {
    const row = Array.from({ length: 20 }, (_, i): [number, string, number, number] => [i + 2, `p${i}`, i + 3, 50 - i])
    expect(namesFrom(2, systemOf(...row))).toHaveLength(8)
    expect(namesFrom(5, systemOf([5, 'a', 6, 1], [6, 'b', 5, 1]))).toHaveLength(8)
  })

  test('are none when it is gone', () => {
    expect(tracePrograms(40, systemOf())).toEqual([])
  })
})

test.each([
  ['/usr/bin/git', [], 'git'],
  ['/usr/bin/python3.11', ['python3', '/usr/bin/ansible', 'all'], 'ansible'],
  ['/usr/bin/python3', ['python3', '-m', 'fabric', 'x'], 'fabric'],
  ['/usr/bin/python3', ['python3', '-W', 'ignore', '-u', 'tool.py'], 'tool'],
  ['/usr/bin/python3', ['python3', '-c', 'import os', 'x'], 'python3'],
  ['/usr/bin/python3', ['python3'], 'python3'],
  ['/usr/bin/node', ['node', '--import', 'a.mjs', '--no-warnings', '/srv/deploy.js'], 'deploy'],
  ['/usr/bin/node', ['node', '-e', '1', 'x'], 'node'],
  ['/usr/bin/perl', ['perl', '-w', '-I', 'lib', '/usr/bin/clusterssh'], 'clusterssh'],
  ['/usr/bin/ruby3.1', ['ruby', '-e', '1'], 'ruby3.1'],
  ['C:\\Program Files\\Git\\usr\\bin\\ssh.exe', [], 'ssh.exe'],
  ['/usr/bin/a\\b', [], 'a\\b'],
])('%s %j is called %s', (path, words, name) => {
  expect(nameOf(path, () => words)).toBe(name)
})

test("only an interpreter's words are looked at", () => {
  expect(
    nameOf('/usr/bin/ssh', () => {
      throw new Error('asked')
    }),
  ).toBe('ssh')
})

test('words end with zeros; an empty one counts, a cut one too', () => {
  expect(wordsOf(Buffer.from('ssh\0\0host\0'))).toEqual(['ssh', '', 'host'])
  expect(wordsOf(Buffer.from('ssh\0ho'))).toEqual(['ssh', 'ho'])
  expect(wordsOf(Buffer.alloc(0))).toEqual([])
})

describe("macOS's list of arguments", () => {
  const text = Buffer.from('/usr/bin/ssh\0\0\0\0ssh\0-p\0host\0HOME=/Users/hana\0')
  const listOf = (count: number) => Buffer.concat([Buffer.from([count, 0, 0, 0]), text])

  test('ends before the environment', () => {
    expect(splitArguments(listOf(3))).toEqual(['ssh', '-p', 'host'])
  })

  test.each([0, 1, 3, 4, 10])('is none, not an error, when it is cut to %i bytes', length => {
    expect(splitArguments(listOf(3).subarray(0, length))).toEqual([])
  })

  test('with a count below zero is none', () => {
    expect(splitArguments(Buffer.concat([Buffer.from([255, 255, 255, 255]), text]))).toEqual([])
  })
})

describe('what Linux tells', () => {
  /** Node under some path, with a word of its own, until the test ends. */
  async function run(program: string, ...args: string[]): Promise<number> {
    const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'ignore'] })
    later(() => child.kill('SIGKILL'))
    await once(child.stdout, 'data')
    return child.pid ?? 0
  }
  const waits = 'process.stdout.write("."); process.stdin.resume()'

  test('program, parent, start and words of a process', async () => {
    const pid = await run(process.execPath, '-e', waits, 'a b', '')
    const seen = lookOnLinux(pid)
    expect(seen).toEqual({
      program: { pid, name: basename(process.execPath), path: process.execPath },
      parent: process.pid,
      start: expect.any(Number),
      leads: false,
    })
    expect(seen?.start).toBeGreaterThanOrEqual(lookOnLinux(process.pid)?.start ?? Number.NaN)
    expect(argumentsOnLinux(pid)).toEqual([process.execPath, '-e', waits, 'a b', ''])
  })

  test('a script is called by its own name', async () => {
    const script = join(await makeTemporary(), 'deploy tool.js')
    await writeFile(script, waits)
    expect(lookOnLinux(await run(process.execPath, script))?.program.name).toBe('deploy tool')
  })

  test('a link in front of a program changes neither its name nor its path', async () => {
    const link = join(await makeTemporary(), 'ssh')
    await symlink(process.execPath, link)
    const program = lookOnLinux(await run(link, '-e', waits))?.program
    expect(program).toMatchObject({ name: basename(process.execPath), path: process.execPath })
  })

  test('one whose file is gone, or is another by now, keeps its name and has no path', async () => {
    const copy = join(await makeTemporary(), 'git (deleted) x')
    await copyFile(process.execPath, copy)
    await chmod(copy, 0o755)
    const pid = await run(copy, '-e', waits)
    expect(lookOnLinux(pid)?.program).toEqual({ pid, name: 'git (deleted) x', path: copy })
    await rm(copy)
    expect(lookOnLinux(pid)?.program).toEqual({ pid, name: 'git (deleted) x' })
    await writeFile(`${copy} (deleted)`, '')
    expect(lookOnLinux(pid)?.program).toEqual({ pid, name: 'git (deleted) x' })
  })

  test('the first 4 KiB of the words, and nothing of a process that is none', async () => {
    const words = argumentsOnLinux(await run(process.execPath, '-e', waits, 'x'.repeat(10_000)))
    expect(words.join('\0')).toHaveLength(4096)
    expect(lookOnLinux(2 ** 30)).toBeUndefined()
    expect(argumentsOnLinux(2 ** 30)).toEqual([])
  })
})
