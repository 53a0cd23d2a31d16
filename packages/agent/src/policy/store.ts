import { stat } from 'node:fs/promises'
import { isKeytoolError, KeytoolError } from '@keytool/keygen'
import { isThis, type Original, readToRewrite } from '../platform/read.js'
import { MAX_POLICY, parsePolicy } from './parse.js'
import { defaultPolicy } from './policy.js'
import { type Resolved, resolvePolicy } from './resolve.js'

const WRITE_BY_OTHERS = 0o022

/** A policy as its file has it. */
export interface Loaded extends Resolved {
  /** When the file was written or put in its place, in milliseconds since 1970; 0 without one. */
  readonly changed: number
}

/**
 * The policy in a file, with its rules' fingerprints; without a file the {@link defaultPolicy}. A link is followed: what it
 * leads to has to be the user's own.
 * @throws KeytoolError `refused` for a file that others may have written; `damaged` and `unsupported` as `parsePolicy`;
 * `failed` when it can't be read
 */
export async function loadPolicy(path: string, home: string): Promise<Loaded> {
  const file = await readOwn(path)
  if (!file) return { policy: defaultPolicy, troubles: [], changed: 0 }
  return { ...(await resolvePolicy(parsePolicy(file.bytes, path, home), path)), changed: file.changed }
}

async function readOwn(path: string): Promise<Original | undefined> {
  try {
    const original = await readToRewrite(path, MAX_POLICY)
    await checkOwner(path, original.mode, original.identity)
    return original
  } catch (error) {
    if (isKeytoolError(error) && error.code === 'not-found') return undefined
    throw error
  }
}

async function checkOwner(path: string, mode: number, identity: { dev: bigint; ino: bigint }): Promise<void> {
  const user = process.getuid?.()
  if (user === undefined) return
  const stats = await stat(path, { bigint: true }).catch(() => undefined)
  if (!stats || !isThis(stats, identity)) throw refusal(path, 'it was changed while it was read')
  const owner = Number(stats.uid)
  if (owner !== user && owner !== 0) throw refusal(path, 'it belongs to another user')
  if ((mode & WRITE_BY_OTHERS) !== 0) {
    const shown = mode.toString(8).padStart(4, '0')
    throw refusal(path, `others may write it (${shown})`, `chmod go-w ${path}`)
  }
}

function refusal(path: string, reason: string, hint?: string): KeytoolError {
  return new KeytoolError('refused', `${path} is not followed: ${reason}`, hint === undefined ? {} : { hint })
}
