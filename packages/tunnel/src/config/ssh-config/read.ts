import { hostname } from 'node:os'
import { dirname, join } from 'node:path'
import type { Environment } from '@keytool/agent/platform'
import { KeytoolError, showForeign } from '@keytool/keygen'
import { startDraft } from './draft.js'
import { finish, settleHost } from './finish.js'
import { showPath } from './place.js'
import { Reading, type Source } from './reading.js'
import type { HostQuery, HostSettings } from './settings.js'
import type { Naming } from './tokens.js'
import { isHarmlessHost, isHarmlessUser } from './valid.js'

export interface SshConfigOptions {
  /** `-F`: this file in place of both others; `none` for no file at all. */
  readonly file?: string | undefined
  /** Lines of `-o`, `Keyword=value`, which stand before all files. */
  readonly extra?: readonly string[] | undefined
  /** Default `~/.ssh/config`. It need not be there. */
  readonly userFile?: string
  /** Default `/etc/ssh/ssh_config`. It need not be there. */
  readonly systemFile?: string
  /** For `${NAME}`. Default the process's. */
  readonly env?: Environment
  /** Whose files are believed, besides root's, and `%i`. Default the process's user. */
  readonly uid?: number
  /** The name of this machine, for `%l` and `%L`. Default what the system says. */
  readonly thisHost?: string
}

/**
 * What `~/.ssh/config` and the system's ssh_config say about a host, read as OpenSSH 10 reads them (ssh_config(5),
 * readconf.c): the first word on a thing counts, Host and Match blocks, includes, a second pass where `Match final` asks
 * for it. Programs are not started and names are not looked up: a `Match exec` or `localnetwork` block does not match,
 * and is named in `ignored` as everything is that is not done here. What is wrong in a block about other hosts is an
 * error, too.
 * @throws KeytoolError with file and line: `damaged` for what can't be read as configuration, an unknown keyword, or
 * files over the caps (1 MiB and 10,000 lines each, 256 files, 16 deep); `usage` for the same in `extra`, or a host or
 * user with characters that mean something to a shell; `refused` for a file that another user can write, and by
 * RefuseConnection; `not-found` when `file` is not there; `failed` when one can't be read
 */
export async function readSshConfig(query: HostQuery, options: SshConfigOptions = {}): Promise<HostSettings> {
  checkQuery(query)
  const { env = process.env, uid = process.getuid?.(), thisHost = hostname() } = options
  const draft = startDraft(query)
  let settled: string | undefined
  const naming = (): Naming => {
    const typedHost = query.host
    const host = settled ?? hostSoFar()
    const jumpHost = draft.jump && draft.jump !== 'none' ? (draft.jump.hops.at(-1)?.host ?? '') : ''
    return {
      typedHost,
      host,
      keyAlias: draft.texts.hostKeyAlias?.text ?? host,
      port: draft.plain.port ?? 22,
      user: draft.texts.user?.text ?? query.localUser,
      localUser: query.localUser,
      home: query.home,
      uid: uid ?? 0,
      thisHost,
      jumpHost,
    }
  }
  // Before all is read a host's name keeps its letters, as in readconf.c.
  const hostSoFar = () => {
    const said = draft.texts.hostName
    return said ? said.text.replaceAll(/%([%h])/g, (_, letter) => (letter === 'h' ? query.host : '%')) : query.host
  }
  const around = { query, env, uid, naming }
  const cache = new Map<string, readonly string[] | undefined>()
  const sources = listSources(query.home, options)

  const first = new Reading(draft, around, false, cache)
  for (const line of options.extra ?? []) first.readOption(line)
  await readAll(first, sources, query.home)
  settled = settleHost(draft.texts.hostName, query.host)
  if (first.wantsFinal) await readAll(new Reading(draft, around, true, cache), sources, query.home)

  // Once the name is settled, keys are kept under the alias or under what was typed.
  const keyAlias = draft.texts.hostKeyAlias?.text.toLowerCase() ?? query.host
  const files = [...cache].flatMap(([path, lines]) => (lines ? [showPath(path, query.home)] : []))
  return finish(draft, { query, env, naming: { ...naming(), keyAlias }, files })
}

async function readAll(reading: Reading, sources: readonly Source[], home: string): Promise<void> {
  for (const source of sources) {
    if ((await reading.readFile(source)) || !source.isNamed) continue
    throw new KeytoolError('not-found', `${showPath(source.path, home)} is not there`)
  }
}

function listSources(home: string, options: SshConfigOptions): Source[] {
  const folder = join(home, '.ssh')
  const users = { folder, isUsers: true }
  const { file, userFile = join(folder, 'config'), systemFile = '/etc/ssh/ssh_config' } = options
  if (file?.toLowerCase() === 'none') return []
  if (file !== undefined) return [{ ...users, path: file, checks: false, isNamed: true }]
  return [
    { ...users, path: userFile, checks: true, isNamed: false },
    { path: systemFile, folder: dirname(systemFile), isUsers: false, checks: false, isNamed: false },
  ]
}

/** As ssh does since 9.6: what comes from an argument may end in a command. */
function checkQuery({ host, user }: HostQuery): void {
  if (!isHarmlessHost(host)) {
    throw new KeytoolError('usage', `"${showForeign(host, 64)}" is no name of a host`)
  }
  if (user !== undefined && !isHarmlessUser(user)) {
    throw new KeytoolError('usage', `"${showForeign(user, 64)}" is no name of a user`)
  }
}
