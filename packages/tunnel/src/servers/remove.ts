import { KeytoolError, type PublicKey, showForeign } from '@keytool/keygen'
import { findLines, removeKeyLines } from './authorized-keys.js'
import { changeKeyFile } from './change.js'
import type { KeyFile } from './key-file.js'

export interface RemoveOptions {
  /** Look, but write nothing. */
  readonly dryRun?: boolean
}

export interface RemoveResult {
  readonly state: 'removed' | 'absent' | 'would-remove'
  /** The file on the server, as {@link KeyFile.path}. */
  readonly path: string
  /** The lines that hold the key, or held it. Counted from 1. */
  readonly lines: readonly number[]
}

/**
 * Takes every line that lets this very key in out of the user's authorized_keys. What else is there stays byte for byte;
 * so does an authority's line. Afterwards the file is read again: only what is not found there counts as removed.
 * @throws KeytoolError `damaged` for a file that is no text or too large, `failed` when it can't be read or written
 */
export async function removePublicKey(
  file: KeyFile,
  key: PublicKey,
  { dryRun = false }: RemoveOptions = {},
): Promise<RemoveResult> {
  const { path } = file
  let lines: number[] = []
  const edit = (bytes: Buffer): Buffer | undefined => {
    lines = findLines(bytes, key).map(({ line }) => line)
    return lines.length === 0 || dryRun ? undefined : removeKeyLines(bytes, key)
  }
  const after = await changeKeyFile(file, edit)
  if (lines.length === 0) return { state: 'absent', path, lines }
  if (dryRun) return { state: 'would-remove', path, lines }
  if (findLines(after, key).length === 0) return { state: 'removed', path, lines }
  throw new KeytoolError('failed', `the key was removed from ${showForeign(path)}, but is there again`, {
    hint: 'another program keeps that file: remove the key where it takes its keys from',
  })
}
