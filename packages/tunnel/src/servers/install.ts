import { type AuthorizedKeyLine, KeytoolError, type PublicKey, showForeign } from '@keytool/keygen'
import { addKeyLine, findLines, noteOnFile } from './authorized-keys.js'
import { changeKeyFile } from './change.js'
import type { KeyFile } from './key-file.js'
import { checkKeyOptions, meanTheSame } from './key-options.js'

export interface InstallOptions {
  /** What stands in front of the key, in sshd's grammar, such as `from="192.0.2.*"`. */
  readonly options?: string
  /** Look, but write nothing. */
  readonly dryRun?: boolean
}

export interface InstallResult {
  readonly state: 'added' | 'present' | 'would-add'
  /** The file on the server, as {@link KeyFile.path}. */
  readonly path: string
  /** The line that holds the key, or would. Counted from 1; absent for `would-add`. */
  readonly line?: number
  /** What is odd about the file, in one sentence; absent where nothing is. */
  readonly note?: string
}

/**
 * Puts a public key into the user's authorized_keys on the server, exactly once. What is there stays byte for byte.
 * After writing, the file is read again: only what is found there counts as added.
 * @throws KeytoolError `damaged` for a file that is no text or too large, `failed` when it can't be read or written,
 * `usage` for options that sshd would not take, `refused` when the key is there with other options than asked for
 */
export async function installPublicKey(
  file: KeyFile,
  publicKey: PublicKey,
  { options, dryRun = false }: InstallOptions = {},
): Promise<InstallResult> {
  const { path } = file
  const asked = options === undefined ? '' : checkKeyOptions(options)
  let wasThere = false
  const edit = (bytes: Buffer): Buffer | undefined => {
    const lines = findLines(bytes, publicKey)
    if (options !== undefined) refuseOtherOptions(lines, options, path)
    wasThere = lines.length > 0
    return wasThere || dryRun ? undefined : addKeyLine(bytes, publicKey, asked)
  }
  const after = await changeKeyFile(file, edit)
  const [found] = findLines(after, publicKey)
  const note = noteOnFile(after)
  const more = { path, ...(note !== undefined && { note }) }
  if (found) return { state: wasThere ? 'present' : 'added', line: found.line, ...more }
  if (dryRun) return { state: 'would-add', ...more }
  throw new KeytoolError('failed', `the key was written to ${showForeign(path)}, but is not found there`, {
    hint: 'another program keeps that file: put the key where it takes its keys from',
  })
}

/** Every line that holds the key lets it in: one with other options would undo those asked for. */
function refuseOtherOptions(lines: readonly AuthorizedKeyLine[], asked: string, path: string): void {
  const other = lines.find(({ options }) => !meanTheSame(options, asked))
  if (!other) return
  const there = other.options === '' ? 'without options' : `with ${showForeign(other.options)}`
  throw new KeytoolError('refused', `the key is there already, but ${there}: ${showForeign(path)} line ${other.line}`, {
    reason: `asked for ${showForeign(asked)}; nothing was changed`,
    hint: 'change or remove that line on the server, then try again',
  })
}
