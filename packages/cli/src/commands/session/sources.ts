import { stat } from 'node:fs/promises'
import { userInfo } from 'node:os'
import { basename, join, resolve } from 'node:path'
import { listFolder, readPlain, readWhole } from '@keytool/agent/platform'
import { isKeytoolError, KeytoolError } from '@keytool/keygen'
import {
  detectSaved,
  type ImportCandidate,
  mergeSaved,
  readSaved,
  type Saved,
  type SavedBy,
  sessionFromPutty,
  sessionsFromSshConfig,
} from '@keytool/tunnel'
import type { Context } from '../../context.js'
import { readStdin } from '../../stdin.js'

/** A session's file is some thousand bytes. */
const MAX_SESSION = 1024 * 1024
const MAX_FILES = 10_000

/** Names of PuTTY's files beside its folder of sessions. */
const HOST_KEYS = 'sshhostkeys'
const SESSIONS = 'sessions'

const nothing: Saved = { sessions: [], hostKeys: [], authorities: 0 }

/** What is in a file or folder: PuTTY's settings, and sessions of other kinds, or that can't be read. */
export interface Read {
  readonly saved: Saved
  readonly others: readonly ImportCandidate[]
  /** Of ssh_config, safe to show: names of hosts that were left out because there is too much to read. */
  readonly notRead: readonly string[]
  /** Patterns and `Match` blocks, which name no host. */
  readonly patterns: readonly string[]
  readonly matches: readonly string[]
}

const noneOfSsh = { notRead: [], patterns: [], matches: [] } as const

/**
 * Reads what was named (`-`: standard input): a registry export, WinSCP.ini, a file of a session or of host keys, a folder of PuTTY's (`~/.putty`) or of
 * sessions, or what ssh reads.
 * @throws KeytoolError as reading does; `unsupported` for what is none of these
 */
export async function readNamed(path: string, by: readonly SavedBy[] | undefined, context: Context): Promise<Read> {
  const isStdin = path === '-'
  const isFolder = !isStdin && (await stat(path).catch(() => undefined))?.isDirectory()
  if (isFolder) return readFolder(path)
  const bytes = isStdin ? await readStdin(context, MAX_STDIN, 'a file of sessions') : await readWhole(path)
  if (detectSaved(bytes) === undefined && /^\s*(?:Host|Match)[\s=]/im.test(bytes.toString('latin1')))
    return readSsh(path, context)
  const saved = naming(isStdin ? 'standard input' : path, () => readSaved(bytes, basename(path), by))
  return { saved, others: [], ...noneOfSsh }
}

/** The same, or `undefined` where there is nothing of the kind. */
export async function readIfAny(path: string, context: Context): Promise<Read | undefined> {
  return (await stat(path).catch(() => undefined)) ? readNamed(path, undefined, context) : undefined
}

/** The hosts that a file for ssh names one by one. Default: `~/.ssh/config`. */
export async function readSsh(file: string | undefined, { places }: Context): Promise<Read> {
  if (file === '-') {
    throw new KeytoolError('usage', 'ssh_config is not read from standard input', {
      reason: 'it is read anew for each host',
      hint: 'name the file: keytool session import --from ssh_config FILE',
    })
  }
  const source = { home: places.home, localUser: ownName(), ...(file !== undefined && { file: resolve(file) }) }
  const { hosts, ...found } = await sessionsFromSshConfig(source)
  return { saved: nothing, others: hosts, ...found }
}

/** Where PuTTY on Unix keeps its sessions and host keys: its own variables and folders, in its order. */
export async function findPutty({ env, places }: Context): Promise<string[]> {
  const config = env['XDG_CONFIG_HOME'] || join(places.home, '.config')
  const folders = env['PUTTYDIR'] ? [env['PUTTYDIR']] : [join(config, 'putty'), join(places.home, '.putty')]
  const there = await Promise.all(folders.map(folder => stat(folder).catch(() => undefined)))
  const folder = folders.find((_, i) => there[i]?.isDirectory())
  const parts = [env['PUTTYSESSIONS'], env['PUTTYSSHHOSTKEYS']].filter(path => path !== undefined && path !== '')
  return [...(folder === undefined ? [] : [folder]), ...(parts as string[])]
}

/** Sessions of PuTTY's settings, each read for itself. */
export function toIncoming({ sessions }: Saved): ImportCandidate[] {
  return sessions.map(settings => {
    try {
      return { from: settings.name, found: sessionFromPutty(settings) }
    } catch (error) {
      if (!isKeytoolError(error)) throw error
      return { from: settings.name, found: error }
    }
  })
}

async function readFolder(path: string): Promise<Read> {
  const names = await listFolder(path)
  const hostKeys = names.includes(HOST_KEYS) ? [await readOne(path, HOST_KEYS)] : []
  // KiTTY's begins with a capital letter.
  const inner = names.find(name => name.toLowerCase() === SESSIONS)
  const folder = inner === undefined ? path : join(path, inner)
  const files = inner === undefined ? names.filter(name => name !== HOST_KEYS) : await listFolder(folder)
  if (files.length > MAX_FILES) throw new KeytoolError('damaged', `${folder} holds over ${MAX_FILES} files`)
  const saved: Saved[] = hostKeys
  const others: ImportCandidate[] = []
  for (const name of files) {
    try {
      saved.push(await readOne(folder, name))
    } catch (error) {
      if (!isKeytoolError(error)) throw error
      others.push({ from: name, found: error })
    }
  }
  return { saved: mergeSaved(saved), others, ...noneOfSsh }
}

/** A file in a folder, if it is one of theirs; what else lies there is none of ours. */
async function readOne(folder: string, name: string): Promise<Saved> {
  const path = join(folder, name)
  if (!(await stat(path).catch(() => undefined))?.isFile()) return nothing
  const bytes = await readPlain(path, name === HOST_KEYS ? undefined : MAX_SESSION)
  return detectSaved(bytes) === undefined ? nothing : naming(path, () => readSaved(bytes, name))
}

/** In bytes, as of a file. */
const MAX_STDIN = 16 * 1024 * 1024

function naming<T>(path: string, work: () => T): T {
  try {
    return work()
  } catch (error) {
    if (!isKeytoolError(error)) throw error
    const { code, message, reason, hint } = error
    throw new KeytoolError(code, `${path}: ${message}`, {
      ...(reason !== undefined && { reason }),
      ...(hint !== undefined && { hint }),
      cause: error,
    })
  }
}

/** For what a file says of the user who runs this; somebody without a name is nobody it speaks of. */
function ownName(): string {
  try {
    return userInfo().username
  } catch {
    return ''
  }
}
