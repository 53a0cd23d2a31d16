import { appendFileSync, closeSync, constants, fstatSync, openSync, renameSync } from 'node:fs'
import { dirname } from 'node:path'
import { makeFolder } from '@keytool/agent/platform'
import { KeytoolError } from '@keytool/keygen'
import type { Say } from '../../say.js'

/** A log that is larger is kept once more under its name with `.1` behind, in bytes. */
const MAX_SIZE = 4 << 20

/** Nobody may read what is behind a pipe's name: opening it must not wait for them. */
const { O_WRONLY, O_APPEND, O_CREAT, O_NOFOLLOW = 0, O_NONBLOCK = 0 } = constants
const FLAGS = O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK

/** Where the lines of a log go. */
export type WriteLine = (line: string) => void

/**
 * Opens the log of a tunnel: a file of the user's, 0600, to whose end lines are added; `-` is standard error.
 * @throws KeytoolError `failed` when it can't be written; `refused` for what is no plain file of the user's
 */
export async function openLog(path: string, say: Say): Promise<WriteLine> {
  if (path === '-') return line => say.note(line)
  await makeFolder(dirname(path))
  writeTo(path, '')
  let isLost = false
  return line => {
    try {
      writeTo(path, `${line}\n`)
      isLost = false
    } catch (error) {
      // A full disk is no reason to let go of a tunnel. It is said once.
      if (!isLost) say.note(`the log can't be written: ${(error as Error).message}`)
      isLost = true
    }
  }
}

/** Opened anew for each line: whoever rotates logs may move it away at any time. */
function writeTo(path: string, text: string): void {
  const file = openChecked(path)
  try {
    if (fstatSync(file).size + text.length <= MAX_SIZE) {
      appendFileSync(file, text)
      return
    }
  } finally {
    closeSync(file)
  }
  renameSync(path, `${path}.1`)
  const fresh = openChecked(path)
  try {
    appendFileSync(fresh, text)
  } finally {
    closeSync(fresh)
  }
}

function openChecked(path: string): number {
  let file: number
  try {
    file = openSync(path, FLAGS, 0o600)
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException
    if (code === 'ELOOP' || code === 'ENXIO' || code === 'EISDIR') throw notPlain(path)
    throw new KeytoolError('failed', `${path} can't be written: ${code}`, { cause })
  }
  const stats = fstatSync(file)
  const user = process.geteuid?.()
  if (stats.isFile() && (user === undefined || stats.uid === user)) return file
  closeSync(file)
  throw notPlain(path)
}

function notPlain(path: string): KeytoolError {
  return new KeytoolError('refused', `${path} is no plain file of yours`, { hint: 'choose another with --log' })
}
