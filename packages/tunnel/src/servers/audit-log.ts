import { randomBytes } from 'node:crypto'
import { isKeytoolError, KeytoolError } from '@keytool/keygen'
import type { Connection } from '../connection/connection.js'
import { findLastUses, type LastUses, noUses, readLogExcerpt } from './last-use.js'

/** What all logs together may send, in bytes: some thousand lines. */
const CAP = 4 << 20
/** Logs of busy servers hold gigabytes; nobody waits longer for a date. In milliseconds. */
const PATIENCE = 30_000

export interface LogOptions {
  /** Whose logins: the name as it was given to the server. */
  readonly user: string
  readonly now: Date
  /** Looks below this folder on the server, as in a chroot, and not into the journal. Default: where logs are. */
  readonly root?: string
}

/**
 * When this user's keys were last used, as far as the logs tell that this user may read: the journal, /var/log/auth.log and
 * /var/log/secure with those rotated away, logread's. Other users of the server may write into some of them what they like:
 * it is a hint, and no proof.
 * @returns {@link noUses} where there is no shell, no log, no end of it, or no connection any more
 * @throws KeytoolError `usage` for a user or root that is no name or path
 */
export async function readLastUses(connection: Pick<Connection, 'exec'>, options: LogOptions): Promise<LastUses> {
  const { user, now, root = '' } = options
  // They go as lines.
  if (/[\p{Cc}]/u.test(user + root) || (root !== '' && !root.startsWith('/'))) {
    throw new KeytoolError('usage', 'that can be no user of a server, or no folder there')
  }
  const marker = `keytool-${randomBytes(16).toString('hex')}`
  const stdin = Buffer.from(`${[marker, user, root].join('\n')}\n`)
  try {
    const { stdout } = await connection.exec(logScript, { stdin, cap: CAP, timeout: PATIENCE })
    return findLastUses(readLogExcerpt(stdout, marker, now), user)
  } catch (error) {
    // It was looked for besides, and "unknown" is an answer; whoever goes on notices a connection that was lost.
    if (!isKeytoolError(error)) throw error
    return noUses
  }
}

/** Logs that are looked into, rotated ones included. */
const MOST = 40

/**
 * From a line: the last of each key, after what kind of login it was. The program's text stands in double quotes within
 * single ones; see `scripts.ts`.
 */
const pick = [
  'NR == 1 { print "f " substr($0, 1, 200) }',
  '{ a = "Accepted publickey for " ENVIRON["u"] " from "; i = index($0, a);',
  'if (i > 0) { k = substr($0, i); j = index(k, " ssh2: "); k = substr(k, j, 400) }',
  'else { i = index($0, "Pubkey auth succeeded for "); if (i == 0) next;',
  'k = substr($0, i, 400); sub(/ from .*/, "", k) }',
  'if (k in last) { } else if (++n > 500) next; last[k] = substr($0, 1, 1000) }',
  'END { for (k in last) print "l " last[k] }',
].join(' ')

/**
 * Prints `MARKER now SECONDS ZONE`; for each log `MARKER source SECONDS` (when it was last written), how it begins behind an
 * `f`, and the last login by each key behind an `l`; or `MARKER unread SECONDS`. In the journal what root's sshd said counts,
 * which only root's friends can read: whoever reads nothing else there would take their own beginning for its.
 */
export const logScript: string = wrap(
  'IFS= read -r m || exit 90; IFS= read -r u || exit 90; IFS= read -r r || exit 90; export u; LC_ALL=C; export LC_ALL',
  `p() { awk "${pick.replace(/["$]/g, '\\$&')}"; }`,
  'printf "%s now %s\\n" "$m" "$(date "+%s %z")"',
  'if [ -z "$r" ]; then if command -v journalctl >/dev/null 2>&1; then printf "%s source\\n" "$m"',
  'journalctl -q --no-pager -o short-unix _UID=0 _COMM=sshd + _UID=0 _COMM=sshd-session + _UID=0 _COMM=dropbear 2>/dev/null </dev/null | p; fi',
  'if command -v logread >/dev/null 2>&1; then printf "%s source\\n" "$m"; logread 2>/dev/null </dev/null | p; fi; fi',
  `n=0; for f in "$r"/var/log/auth.log "$r"/var/log/auth.log[.-]* "$r"/var/log/secure "$r"/var/log/secure-*; do [ -f "$f" ] || continue`,
  `n=$((n + 1)); [ $n -le ${MOST} ] || break; t=$(date -r "$f" +%s 2>/dev/null); [ -r "$f" ] || { printf "%s unread %s\\n" "$m" "$t"; continue; }`,
  'c=cat; case "$f" in *.gz) c="gzip -dc";; *.xz) c="xz -dc";; *.bz2) c="bzip2 -dc";; *.zst) c="zstd -dc";; esac',
  'printf "%s source %s\\n" "$m" "$t"; $c <"$f" 2>/dev/null | p; done',
)

function wrap(...steps: string[]): string {
  return `exec sh -c '${steps.join('; ')}'`
}
