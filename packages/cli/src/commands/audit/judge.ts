import { FOREVER, findWeaknesses, keyFormats, type PublicKey, rateKdf } from '@keytool/keygen'
import type { Context } from '../../context.js'
import { byGravity, type Finding } from './finding.js'
import { hasPrivateHalf, isOfKey, type KeyFileFound, type PlaceFound } from './key-files.js'

/** What a file is judged beside. */
export interface Surroundings {
  readonly files: readonly KeyFileFound[]
  /** Keys that some agent holds. */
  readonly held: readonly PublicKey[]
  /** When a key last signed, as far as the ledger tells. */
  readonly lastUse: (key: PublicKey) => Date | undefined
  readonly now: Date
  /** Who runs this; absent where systems have no such numbers. */
  readonly uid: number | undefined
  readonly context: Context
}

/** One row: what it is called, how grave it is, and what is said where it is so. */
interface Check {
  readonly code: string
  find(file: KeyFileFound, around: Surroundings): Omit<Finding, 'code'> | undefined
}

const DAY = 86_400_000
/** A key that signed nothing for longer may be one that nobody would miss. */
const STALE = 365 * DAY
/** Formats whose files say of themselves that they are old. */
const OLD: ReadonlySet<string> = new Set(['ssh1', 'ppk1', 'ppk2', 'sshcom', 'pem'])

const checks: readonly Check[] = [
  {
    code: 'unprotected',
    find({ path, what }, { context }) {
      // A token's file is of no use without the token.
      if (what.kind !== 'private' || what.encrypted || what.public?.algorithm.type.endsWith('-sk')) return undefined
      const hint = what.format === 'ssh1' ? undefined : command('passphrase', path, context)
      return { severity: 'weak', text: 'it has no passphrase: whoever has the file has the key', ...(hint && { hint }) }
    },
  },
  {
    code: 'exposed',
    find({ path, what, stats: { mode } }, { uid, context }) {
      if (uid === undefined) return undefined
      const hint = (change: string) => `chmod ${change} ${context.say.word(path)}`
      if (what.kind === 'private' && (mode & 0o077) !== 0) {
        const severity = what.encrypted ? 'weak' : 'broken'
        return { severity, text: `others may get at it (${octal(mode)})`, hint: hint('go=') }
      }
      if (what.kind === 'private' || (mode & 0o022) === 0) return undefined
      return {
        severity: 'weak',
        text: `others may put another key in its place (${octal(mode)})`,
        hint: hint('go-w'),
      }
    },
  },
  {
    code: 'foreign-owner',
    find({ stats }, { uid }) {
      if (uid === undefined || stats.uid === uid) return undefined
      return { severity: 'weak', text: `it belongs to another user (${stats.uid})` }
    },
  },
  {
    code: 'weak-kdf',
    find({ path, what }, { context }) {
      if (what.kind !== 'private' || !what.kdf || what.format === 'ssh1' || rateKdf(what.kdf) !== 'weak')
        return undefined
      const text = 'its passphrase can be tried out quickly: what stretches it is old or set low'
      const to = what.format.startsWith('ppk') ? 'ppk' : 'openssh'
      return { severity: 'weak', text, hint: `${command('convert', path, context)} -o NEW --to ${to}` }
    },
  },
  {
    code: 'old-format',
    find({ path, what }, { context }) {
      if (what.kind !== 'private' || !OLD.has(what.format)) return undefined
      // Said of it already, and more gravely.
      if (what.kdf && what.format !== 'ssh1' && rateKdf(what.kdf) === 'weak') return undefined
      const title = keyFormats.find(({ name }) => name === what.format)?.title ?? what.format
      const to = what.format.startsWith('ppk') ? 'ppk' : 'openssh'
      const hint = what.format === 'ssh1' ? undefined : `${command('convert', path, context)} -o NEW --to ${to}`
      return { severity: 'note', text: `${title} is an old format`, ...(hint && { hint }) }
    },
  },
  {
    code: 'mismatch',
    find({ path, what }, { files, context }) {
      if (what.kind !== 'private' || !what.public) return undefined
      const beside = files.find(file => file.path === `${path}.pub` && file.what.kind === 'public')
      if (!beside || isOfKey(beside, what.public.plain)) return undefined
      return {
        severity: 'weak',
        text: 'the .pub beside it is another key',
        hint: `find out which one is right; ${command('public', path, context)} prints this one's`,
      }
    },
  },
  {
    code: 'duplicate',
    find(file, { files, context }) {
      const key = file.what.public
      if (file.what.kind !== 'private' || !key) return undefined
      const other = files.find(each => each !== file && each.what.kind === 'private' && isOfKey(each, key))
      return other && { severity: 'note', text: `the same key lies in ${context.say.path(other.path)}, too` }
    },
  },
  {
    code: 'orphaned',
    find({ what }, { files, held }) {
      const key = what.public?.plain
      if (what.kind === 'private' || !key) return undefined
      const isHere = held.some(({ blob }) => blob.equals(key.blob)) || hasPrivateHalf(files, key)
      if (isHere) return undefined
      return { severity: 'note', text: 'its private half is in none of the places looked at' }
    },
  },
  {
    code: 'stale',
    find({ what }, { now, lastUse }) {
      if (what.kind === 'certificate') {
        const { validBefore } = what.certificate
        const isOver = validBefore !== FOREVER && validBefore * 1000n <= BigInt(now.getTime())
        return isOver ? { severity: 'note', text: 'the certificate has expired' } : undefined
      }
      const last = what.kind === 'private' && what.public ? lastUse(what.public) : undefined
      if (!last || now.getTime() - last.getTime() <= STALE) return undefined
      return { severity: 'note', text: `it last signed something on ${last.toISOString().slice(0, 10)}` }
    },
  },
]

/** All that is to be said of one file and its key, the gravest first. */
export async function judgeFile(file: KeyFileFound, around: Surroundings): Promise<readonly Finding[]> {
  const key = file.what.public
  // Once for a key: its public half has nothing to add.
  const isTold =
    file.what.kind !== 'private' &&
    key &&
    around.files.some(each => each.what.kind === 'private' && isOfKey(each, key.plain))
  const findings: Finding[] = key && !isTold ? [...(await findWeaknesses(key))] : []
  for (const { code, find } of checks) {
    const found = find(file, around)
    if (found) findings.push({ code, ...found })
  }
  return findings.sort(byGravity)
}

/** What is to be said of a folder of keys, or of what can't be read. */
export function judgePlace(
  { path, kind, stats, error }: PlaceFound,
  { uid, context }: Surroundings,
): readonly Finding[] {
  if (kind === 'unreadable') {
    const text = [error?.message.replace(`${path}: `, ''), error?.reason].filter(Boolean).join(': ')
    return [{ code: 'unreadable', severity: 'weak', text: context.say.path(text || "it can't be read") }]
  }
  if (!stats || uid === undefined) return []
  const findings: Finding[] = []
  if ((stats.mode & 0o022) !== 0) {
    findings.push({
      code: 'exposed',
      severity: 'weak',
      text: `others may put files in it (${octal(stats.mode)})`,
      hint: `chmod go-w ${context.say.word(path)}`,
    })
  }
  if (stats.uid !== uid)
    findings.push({ code: 'foreign-owner', severity: 'weak', text: `it belongs to another user (${stats.uid})` })
  return findings
}

/** A file that a session or a rule of the agent's names, and that is not there. */
export function judgeMissing(by: string): Finding {
  return { code: 'orphaned', severity: 'note', text: `${by} names it, but it is not there` }
}

function command(name: string, path: string, { name: program, say }: Context): string {
  return `${program} ${name} ${say.word(path)}`
}

function octal(mode: number): string {
  return mode.toString(8).padStart(4, '0')
}
