import { createHash } from 'node:crypto'
import { KeytoolError } from '@keytool/keygen'
import { cksum } from './cksum.js'
import type { KeyFile, KeyFileFinding } from './key-file.js'
import { examineScript, readScript, replaceScript } from './scripts.js'
import { readFindings } from './shell-findings.js'
import { MAX_FILE, runScript, type Shell, type ShellAnswer } from './shell-run.js'

/**
 * The user's authorized_keys by way of a shell. It was read once when this resolves: that is how it is known that there is
 * a shell.
 * @throws KeytoolError `unsupported` where there is none, and as {@link KeyFile.read}
 */
export async function openShellKeyFile(shell: Shell): Promise<KeyFile> {
  return new ShellKeyFile(shell, await runScript(shell, readScript))
}

/**
 * What may keep sshd from heeding the file, also where its own user can't read it. Changes nothing.
 * @throws KeytoolError as {@link KeyFile.examine}; `unsupported` where there is no shell
 */
export async function examineByShell(shell: Shell): Promise<readonly KeyFileFinding[]> {
  const { word, rest, body } = await runScript(shell, examineScript)
  if (word !== 'user') throw wrongAnswer()
  return readFindings(rest, body.toString('utf8'))
}

class ShellKeyFile implements KeyFile {
  readonly path: string
  readonly way = 'shell'
  readonly #shell: Shell
  /** What it was when this was opened, until somebody asked for it. */
  #first: Buffer | undefined

  constructor(shell: Shell, answer: ShellAnswer) {
    this.#shell = shell
    this.path = showPath(answer.rest)
    this.#first = contentOf(answer)
  }

  async read(): Promise<Buffer> {
    const first = this.#first
    this.#first = undefined
    return first ?? contentOf(await runScript(this.#shell, readScript))
  }

  async replace(before: Buffer, after: Buffer): Promise<boolean> {
    this.#first = undefined
    if (after.length > MAX_FILE) {
      throw new KeytoolError('damaged', `${this.path} would be larger than 1 MiB`, { reason: 'nothing was changed' })
    }
    const lines = [before.length === 0 ? 'empty' : 'some', ...sumsOf(before), ...sumsOf(after)]
    const { word } = await runScript(this.#shell, replaceScript, lines, after)
    if (word === 'done' || word === 'changed') return word === 'done'
    throw wrongAnswer()
  }

  examine(): Promise<readonly KeyFileFinding[]> {
    return examineByShell(this.#shell)
  }
}

function contentOf({ word, body }: ShellAnswer): Buffer {
  if (word === 'none') return Buffer.alloc(0)
  if (word !== 'file') throw wrongAnswer()
  if (body.length <= MAX_FILE) return Buffer.from(body)
  throw new KeytoolError('damaged', 'authorized_keys on the server is larger than 1 MiB, so it is left as it is')
}

function sumsOf(bytes: Buffer): readonly [sha256: string, posix: string] {
  return [createHash('sha256').update(bytes).digest('hex'), cksum(bytes)]
}

/** A relative one is below the home folder. */
function showPath(path: string): string {
  return path.startsWith('/') ? path : `~/${path}`
}

function wrongAnswer(): KeytoolError {
  return new KeytoolError('failed', 'the server answers what this program does not understand')
}
