import { stat } from 'node:fs/promises'
import {
  type FileIdentity,
  type FileToWrite,
  type Original,
  readToRewrite,
  writeTogether,
} from '@keytool/agent/platform'
import {
  isKeytoolError,
  KeytoolError,
  noLimits,
  type PrivateKey,
  readPrivateKey,
  readPublicLines,
  writePublicLine,
} from '@keytool/keygen'

/** A key file that is to be changed where it stands. */
export interface Rewrite {
  readonly path: string
  /** The key the new file must hold. */
  readonly key: PrivateKey
  readonly bytes: Buffer
  /** What opens the new file. */
  readonly passphrase: Buffer | undefined
  /** Whether the `.pub` beside it takes the key's comment. */
  readonly publicFollows?: boolean
  /** The file that the key was read from: no other one is replaced. Without it, the one that is there now. */
  readonly identity?: FileIdentity | undefined
}

/**
 * Changes a key file in place. The old file keeps its place until the new one, complete on disk, was read back and is the
 * same key; links stay links, and the owner stays the owner. Returns the paths written.
 */
export async function rewriteKey(wish: Rewrite): Promise<string[]> {
  const { path, key, bytes, passphrase } = wish
  const { mode, dev, ino } = await stat(path, { bigint: true })
  const files: FileToWrite[] = [
    {
      path,
      bytes,
      mode: Number(mode) & 0o600 || 0o600,
      replace: true,
      check: written => checkSame(written, key, passphrase),
      expects: wish.identity ?? { dev, ino },
    },
  ]
  const beside = wish.publicFollows ? await publicBeside(path, key) : undefined
  if (beside) files.push(beside)
  await writeTogether(files)
  return files.map(file => file.path)
}

/** Throws unless the bytes hold this key, and nothing but it. */
export async function checkSame(bytes: Buffer, key: PrivateKey, passphrase: Buffer | undefined): Promise<void> {
  const back = await readPrivateKey(bytes, { limits: noLimits, ...(passphrase && { passphrase }) })
  try {
    const same = Object.entries(key.parts).every(([name, part]) => back.parts[name]?.equals(part))
    if (!same || !back.publicKey.equals(key.publicKey)) {
      throw new KeytoolError('failed', 'what was read back from the disk is not what was written', {
        reason: 'the old file was left as it is',
      })
    }
  } finally {
    back.wipe()
  }
}

/** Whether a file of this public format holds a key and nothing beside it: no second line, no remark. */
export function isAlone(bytes: Buffer, format: string): boolean {
  return format !== 'openssh' || !bytes.toString('latin1').trimEnd().includes('\n')
}

async function publicBeside(path: string, key: PrivateKey): Promise<FileToWrite | undefined> {
  const beside = `${path}.pub`
  const old = await readIfThere(beside)
  if (!old || !isAlone(old.bytes, 'openssh')) return undefined
  try {
    const [first, second] = readPublicLines(old.bytes)
    if (second || !first?.equals(key.publicKey)) return undefined
  } catch {
    // What is no public key, or another one's, is none of ours.
    return undefined
  }
  const bytes = Buffer.from(writePublicLine(key.publicKey))
  return { path: beside, bytes, mode: old.mode & 0o755, replace: true, expects: old.identity }
}

async function readIfThere(path: string): Promise<Original | undefined> {
  try {
    return await readToRewrite(path)
  } catch (error) {
    if (isKeytoolError(error) && error.code === 'not-found') return undefined
    throw error
  }
}
