import { type Fingerprinted, fingerprint } from '@keytool/keygen'
import { readStamp, type ServerClock, splitStamp } from './last-use-stamp.js'

/** Lines of a server's logs, as its script sent them. All of it is foreign. */
export interface LogExcerpt {
  readonly clock: ServerClock
  readonly sources: readonly LogSource[]
  /** Logs that are there but could not be read, by the time they were last written. */
  readonly unread: readonly Date[]
}

export interface LogSource {
  /** When it was last written: no line is later. */
  readonly until: Date
  /** How it begins. */
  readonly first: string
  /** Those that tell of a login by key. */
  readonly lines: readonly string[]
}

export interface KeyUse {
  readonly at: Date
  /** Address of the client, as the log has it. */
  readonly from: string
}

export interface LastUses {
  /** How far back the logs reach without a hole; absent where none could be read. */
  readonly since?: Date
  /** The last login by this key that they tell of. That there is none says nothing about the time before. */
  of(key: Fingerprinted): KeyUse | undefined
}

/** What is known where no log could be read. */
export const noUses: LastUses = { of: () => undefined }

/** Behind its time a line names the machine (or, on OpenWrt, its kind), then the program. Nothing else begins so. */
const PROGRAM = /^\S{1,255} (?:sshd(?:-session|-auth)?|dropbear)\[\d{1,10}\]: /
/** `auth_log` of OpenSSH's auth.c; a certificate's authority at the end, behind a key id that may be anything. */
const OPENSSH = /^(\S+) port \d+ ssh2: \S+ (\S+)(?: ID .* \(serial \d+\) CA \S+ (\S+))?$/
/** `svr-authpubkey.c` of dropbear. */
const DROPBEAR = /^ with (?:\S+ )?key (SHA256:\S+) from (\S+):\d+$/
const MD5 = /^(?:MD5:)?([0-9a-f]{2}(?::[0-9a-f]{2}){15})$/

/** The last uses of every key by this user, and nobody whose name only begins so. */
export function findLastUses(excerpt: LogExcerpt, user: string): LastUses {
  const uses = new Map<string, KeyUse>()
  for (const { lines, until } of excerpt.sources) {
    for (const line of lines) {
      for (const [print, use] of readUses(line, user, until, excerpt.clock)) {
        const before = uses.get(print)
        if (!before || before.at < use.at) uses.set(print, use)
      }
    }
  }
  const since = findReach(excerpt)
  return {
    ...(since && { since }),
    of: key => uses.get(fingerprint(key)) ?? uses.get(fingerprint(key, 'md5')),
  }
}

/** A certificate's use is its authority's, too. */
function readUses(line: string, user: string, until: Date, clock: ServerClock): [string, KeyUse][] {
  const [stamp, rest] = splitStamp(line)
  const at = stamp && readStamp(stamp, until, clock)
  const program = PROGRAM.exec(rest)?.[0]
  if (!at || program === undefined) return []
  const message = rest.slice(program.length)
  const openssh = behind(message, `Accepted publickey for ${user} from `)
  if (openssh !== undefined) {
    const [, from = '', ...prints] = OPENSSH.exec(openssh) ?? []
    return prints.flatMap(print => (print === undefined ? [] : [[nameOf(print), { at, from }]]))
  }
  const dropbear = behind(message, `Pubkey auth succeeded for '${user}'`)
  const [, print, from = ''] = (dropbear !== undefined && DROPBEAR.exec(dropbear)) || []
  return print === undefined ? [] : [[print, { at, from }]]
}

function behind(text: string, beginning: string): string | undefined {
  return text.startsWith(beginning) ? text.slice(beginning.length) : undefined
}

/** Old servers write MD5, without its name. */
function nameOf(print: string): string {
  const md5 = MD5.exec(print)?.[1]
  return md5 === undefined ? print : `MD5:${md5}`
}

/** From the beginning of the oldest log on, unless one in between could not be read. */
function findReach({ sources, unread, clock }: LogExcerpt): Date | undefined {
  const beginnings = sources.flatMap(({ first, until }) => {
    const [stamp] = splitStamp(first)
    return (stamp && readStamp(stamp, until, clock)) ?? []
  })
  if (beginnings.length === 0) return undefined
  const oldest = Math.min(...beginnings.map(Number))
  return new Date(Math.max(oldest, ...unread.map(Number)))
}

/** Far more than the script looks into. */
const MAX_LOGS = 100

/** The lines between the marks of the script in `audit-log.ts`. What is not as it should be is passed over. */
export function readLogExcerpt(output: Buffer, marker: string, now: Date): LogExcerpt {
  let clock: ServerClock = { now, offset: 0 }
  const sources: { until: Date; first: string; lines: string[] }[] = []
  const unread: Date[] = []
  for (const line of output.toString('utf8').split('\n')) {
    const source = sources.at(-1)
    if (line.startsWith(`${marker} `)) {
      const [, word, seconds, zone = ''] = line.split(' ')
      const time = readSeconds(seconds) ?? clock.now
      if (word === 'now') clock = { now: time, offset: readOffset(zone) }
      else if (sources.length + unread.length >= MAX_LOGS) break
      else if (word === 'source') sources.push({ until: time, first: '', lines: [] })
      else if (word === 'unread') unread.push(time)
    } else if (source && line.startsWith('f ')) source.first = line.slice(2)
    else if (source && line.startsWith('l ')) source.lines.push(line.slice(2))
  }
  return { clock, sources, unread }
}

function readSeconds(text = ''): Date | undefined {
  return /^\d{1,11}$/.test(text) ? new Date(Number(text) * 1000) : undefined
}

/** `+0130` in minutes. */
function readOffset(zone: string): number {
  const [, sign, hours, minutes] = /^([+-])([01]\d)([0-5]\d)$/.exec(zone) ?? []
  const offset = Number(hours ?? 0) * 60 + Number(minutes ?? 0)
  return sign === '-' ? -offset : offset
}
