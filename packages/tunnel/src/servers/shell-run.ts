import { randomBytes } from 'node:crypto'
import { isKeytoolError, KeytoolError, showForeign } from '@keytool/keygen'
import type { Connection, ExecResult } from '../connection/connection.js'
import { openWhenRoom } from './open-session.js'
import { explainFailure } from './shell-failures.js'

/** A larger file is not one people keep by hand; it is neither read nor written. In bytes. */
export const MAX_FILE: number = 1 << 20
/** What login scripts may say besides, in bytes. */
const NOISE = 256 * 1024
/** In milliseconds. One that writes may have to wait for another writer's lock, some 75 s at most. */
const READ_TIME = 20_000
const WRITE_TIME = 120_000

/** What a script said: the words of its first line, and all that follows. */
export interface ShellAnswer {
  readonly word: string
  /** The rest of the first line. */
  readonly rest: string
  readonly body: Buffer
}

/** Where a script runs. */
export interface Shell {
  readonly connection: Pick<Connection, 'exec'>
  /** Which software serves there, as it says itself. */
  readonly software?: string | undefined
}

/**
 * Runs one of `scripts.ts` in the user's shell.
 * @param lines what its `read`s get, in order, after the marker and the software's kind; no newline in any
 * @param data what follows them
 * @throws KeytoolError `unsupported` where no POSIX shell runs it, `failed` with what the script found in its way, `damaged`
 * for a file over 1 MiB, `unreachable`
 */
export async function runScript(
  shell: Shell,
  script: string,
  lines: readonly string[] = [],
  data?: Buffer,
): Promise<ShellAnswer> {
  const marker = `keytool-${randomBytes(16).toString('hex')}`
  const kind = shell.software?.toLowerCase().startsWith('dropbear') ? 'dropbear' : 'other'
  const head = [marker, kind, ...lines].map(line => `${line}\n`).join('')
  const stdin = Buffer.concat([Buffer.from(head, 'utf8'), data ?? Buffer.alloc(0)])
  const limits = { cap: MAX_FILE + NOISE, timeout: data === undefined ? READ_TIME : WRITE_TIME }
  const result = await openWhenRoom(() => shell.connection.exec(script, { stdin, ...limits })).catch(error => {
    if (!isKeytoolError(error) || error.code !== 'damaged') throw error
    // The scripts send no file above its limit: that is somebody else's noise.
    throw new KeytoolError('unsupported', "the server's shell says more than any answer has", { cause: error })
  })
  const answer = readAnswer(result.stdout, marker)
  if (answer === 'none') throw noShell(result)
  if (answer === 'cut') throw new KeytoolError('failed', 'the server stopped in the middle of it', lastWords(result))
  if (answer.word === 'fail') throw explainFailure(answer.rest, answer.body.toString('utf8'))
  return answer
}

/** What stands between the marks: `none` without any, `cut` where the second one is missing. */
export function readAnswer(output: Buffer, marker: string): ShellAnswer | 'none' | 'cut' {
  const head = `${marker} begin\n`
  const start = output.indexOf(head)
  if (start === -1) return 'none'
  const whole = output.subarray(start + head.length)
  const end = whole.lastIndexOf(`\n${marker} end\n`)
  if (end === -1) return 'cut'
  const answer = whole.subarray(0, end)
  const newline = answer.indexOf('\n')
  const first = answer.subarray(0, newline === -1 ? answer.length : newline).toString('utf8')
  const [, word = '', rest = ''] = /^(\S*) ?(.*)$/s.exec(first) ?? []
  return { word, rest, body: newline === -1 ? Buffer.alloc(0) : answer.subarray(newline + 1) }
}

function noShell(result: ExecResult): KeytoolError {
  return new KeytoolError('unsupported', 'the server runs no POSIX shell for this user', lastWords(result))
}

/** What was said instead: the first line of it. */
function lastWords({ stdout, stderr }: ExecResult): { reason?: string } {
  for (const output of [stderr, stdout]) {
    const line = output.subarray(0, 4096).toString('utf8').trim().split('\n')[0] ?? ''
    if (line !== '') return { reason: showForeign(line) }
  }
  return {}
}
