import { createHash } from 'node:crypto'
import { lstat, readdir, readFile, readlink } from 'node:fs/promises'
import { join } from 'node:path'
import type { Home } from './world/home.js'
import { residentKeytool } from './world/resident.js'
import { keytool, type RunOptions, type RunResult } from './world/run.js'

// What the tests of test/cli-*.test.ts share.

/**
 * Runs a line of our program in a home, with the home as its folder. Not in a process of its own: test/cli-resident.test.ts
 * shows that it comes to the same.
 */
export function runIn(home: Home, args: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  return residentKeytool(args, { cwd: home.path, env: home.env, ...options })
}

/** The same in a process of its own. */
export function runApart(home: Home, args: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  return keytool(args, { cwd: home.path, env: home.env, ...options })
}

/** As {@link runIn}, and throws unless all went well. Returns stdout. */
export async function succeed(home: Home, args: readonly string[], options: RunOptions = {}): Promise<string> {
  const { status, stdout, stderr } = await runIn(home, args, options)
  if (status === 0 && stderr === '') return stdout
  throw new Error(`keytool ${args.join(' ')} ended with ${status}\n${stdout}\n${stderr}`)
}

/** Files of this many bytes are told by size and time only. */
const LARGE = 1024 * 1024

/**
 * All that lies below a folder, one line each: name, mode, owner, inode, and of files size, hash and the time they were
 * written. Two equal snapshots: nothing was changed, nothing is left over.
 */
export async function takeSnapshot(path: string): Promise<string[]> {
  const stats = await lstat(path)
  const what = `${path} ${stats.mode.toString(8)} ${stats.uid} ${stats.ino}`
  if (stats.isSymbolicLink()) return [`${what} -> ${await readlink(path)}`]
  if (stats.isFile()) {
    const hash = stats.size < LARGE ? hashOf(await readFile(path)) : 'large'
    return [`${what} ${stats.size} ${stats.mtimeMs} ${hash}`]
  }
  if (!stats.isDirectory()) return [what]
  const names = (await readdir(path)).sort()
  return [what, ...(await Promise.all(names.map(name => takeSnapshot(join(path, name))))).flat()]
}

export interface Refusal {
  readonly status: number
  /** The error's code in JSON. */
  readonly code: string
  /** What its text must say. */
  readonly says?: RegExp
}

/**
 * Has our program refuse something, in words and in JSON, and checks what cli.md promises of every refusal: stdout is
 * empty, stderr has three lines at the most or one JSON value, no stack, none of the secrets, and nothing on disk has changed.
 * @param secrets must not stand in any output
 */
export async function expectRefused(
  home: Home,
  args: readonly string[],
  { status, code, says = /./ }: Refusal,
  options: RunOptions & { readonly secrets?: readonly string[] } = {},
): Promise<void> {
  const { secrets = [], ...running } = options
  const before = await takeSnapshot(home.path)
  const [words, json] = await Promise.all([runIn(home, args, running), runIn(home, withJson(args), running)])
  for (const result of [words, json]) {
    const { stdout, stderr } = result
    expect({ status: result.status, stdout, stderr }).toEqual({ status, stdout: '', stderr: expect.any(String) })
    if (result === words) expect(stderr).toMatch(/^keytool: .*(\n {2}.*){0,2}\n$/)
    const text = result === json ? textOf(stderr, code) : stderr
    expect(text).toMatch(says)
    expect(text).not.toMatch(/\n\s+at |node:internal|unexpected|undefined|\[object/)
    for (const secret of secrets) expect(stderr).not.toContain(secret)
  }
  expect(await takeSnapshot(home.path)).toEqual(before)
}

/** The message of an error in JSON, its form checked. */
function textOf(stderr: string, code: string): string {
  const { error, ...others }: { error: Record<string, unknown> } = JSON.parse(stderr)
  expect(others).toEqual({})
  expect(error['code']).toBe(code)
  for (const [name, value] of Object.entries(error)) {
    expect(['code', 'message', 'reason', 'hint']).toContain(name)
    expect(value).toEqual(expect.stringMatching(/./))
  }
  return [error['message'], error['reason'], error['hint']].filter(text => text !== undefined).join('\n')
}

/** The same call with `--json`, before a `--` that ends the options. */
function withJson(args: readonly string[]): string[] {
  const end = args.indexOf('--')
  return end < 0 ? [...args, '--json'] : [...args.slice(0, end), '--json', ...args.slice(end)]
}

function hashOf(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex')
}
