import { KeytoolError } from '@keytool/keygen'
import {
  type ImportedHostKey,
  type ImportedSession,
  importHostKeys,
  importSessions,
  KnownHosts,
  mergeSaved,
  type SavedBy,
  SessionStore,
} from '@keytool/tunnel'
import type { Context, Run } from '../../context.js'
import { parse, type Usage } from '../../options.js'
import { sayImport } from './import-report.js'
import { findPutty, type Read, readIfAny, readNamed, readSsh, toIncoming } from './sources.js'

const programs: readonly SavedBy[] = ['putty', 'kitty', 'winscp']
const SSH_CONFIG = 'ssh_config'
const known = [...programs, SSH_CONFIG]

const usage: Usage = {
  command: 'session import',
  takes: '[files...]',
  summary:
    "Take over sessions and host keys: PuTTY's and KiTTY's registry export (.reg), PuTTY's folder on Unix, WinSCP.ini, " +
    "ssh_config. - is standard input; without FILE PuTTY's folder is looked for. What is there already stays; passwords are never carried.",
  examples: ['session import --dry-run', 'session import putty.reg', 'session import --from ssh_config'],
  options: [
    ['--from <program>', `${known.join(', ')}: take only what is this one's (default: what FILE holds)`],
    ['--dry-run', 'say what would be done, and write nothing'],
    ['--force', 'replace sessions of the same name'],
  ],
}

export const run: Run = async (args, context) => {
  const parsed = parse<{ from?: string; dryRun?: boolean; force?: boolean }>(usage, args, context)
  if (!parsed) return 0
  const { from, dryRun = false, force = false } = parsed.options
  if (from !== undefined && !known.includes(from)) {
    throw new KeytoolError('usage', `nothing is known here of ${JSON.stringify(from)}`, {
      hint: `--from ${known.join(', ')}`,
    })
  }
  const read = await (parsed.words.length > 0 ? readAll(parsed.words, from, context) : look(from, context))
  const saved = mergeSaved(read.map(each => each.saved))
  const incoming = [...toIncoming(saved), ...read.flatMap(({ others }) => others)]
  const sessions = await importSessions(incoming, new SessionStore(context.places.config), { replace: force, dryRun })
  const hostKeys = await importHostKeys(saved.hostKeys, new KnownHosts({ home: context.places.home }), { dryRun })
  const ofSsh = {
    notRead: read.flatMap(each => each.notRead),
    patterns: [...new Set(read.flatMap(each => each.patterns))],
    matches: [...new Set(read.flatMap(each => each.matches))],
  }
  sayImport({ sessions, hostKeys, authorities: saved.authorities, ...ofSsh, dryRun }, context)
  return ofSsh.notRead.length > 0 ? 6 : statusOf(sessions, hostKeys)
}

async function readAll(paths: readonly string[], from: string | undefined, context: Context): Promise<Read[]> {
  const by = programs.filter(program => from === undefined || program === from)
  const read: Read[] = []
  for (const path of paths) {
    read.push(await (by.length === 0 ? readSsh(path, context) : readNamed(path, by, context)))
  }
  return read
}

async function look(from: string | undefined, context: Context): Promise<Read[]> {
  if (from === SSH_CONFIG) return [await readSsh(undefined, context)]
  const read: Read[] = []
  for (const path of from === undefined || from === 'putty' ? await findPutty(context) : []) {
    const one = await readIfAny(path, context)
    if (one) read.push(one)
  }
  if (read.length > 0) return read
  throw new KeytoolError('not-found', "there are no sessions of PuTTY's in the usual places here", {
    reason: 'on Windows they are in the registry; in a command window there:',
    hint: 'reg export HKCU\\Software\\SimonTatham\\PuTTY putty.reg, then keytool session import putty.reg',
  })
}

/** The worst thing that was said: something refused or left unread (6 as well), a host key that contradicts, a name in use. */
function statusOf(sessions: readonly ImportedSession[], hostKeys: readonly ImportedHostKey[]): number {
  if ([...sessions, ...hostKeys].some(({ state }) => state === 'refused')) return 6
  if (hostKeys.some(({ state }) => state === 'differs')) return 8
  return sessions.some(({ state }) => state === 'kept') ? 4 : 0
}
