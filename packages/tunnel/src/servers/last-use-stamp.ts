/** The server's own clock: what the times in its logs are to be read by. */
export interface ServerClock {
  readonly now: Date
  /** Minutes that its local time is ahead of UTC. */
  readonly offset: number
}

const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']
const MINUTE = 60_000
const DAY = 24 * 60 * MINUTE

/** One row a way in which logs write times. Each is followed by one blank. */
interface Stamp {
  readonly form: RegExp
  /** Milliseconds since 1970, from what the form's groups hold; NaN for none. */
  read(groups: readonly string[], until: Date, clock: ServerClock): number
}

const stamps: readonly Stamp[] = [
  // journalctl -o short-unix
  { form: /^(\d{9,11})(?:\.\d{1,9})? /, read: ([seconds]) => Number(seconds) * 1000 },
  // rsyslog since Debian 12; systemd's short-iso
  {
    form: /^(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(?:[.,]\d{1,9})?(Z|[+-]\d\d:?\d\d)? /,
    read: ([day, time, zone], _until, { offset }) =>
      zone
        ? Date.parse(`${day}T${time}${zone.replace(/^(...)(\d\d)$/, '$1:$2')}`)
        : Date.parse(`${day}T${time}Z`) - offset * MINUTE,
  },
  // RFC 3164: without a year
  {
    form: /^([A-Z][a-z]{2}) {1,2}(\d{1,2}) (\d\d):(\d\d):(\d\d) /,
    read: ([month = '', ...rest], until, { offset }) => {
      const limit = until.getTime() + DAY
      const inYear = (year: number) => timeIn(year, month, rest, offset)
      const year = until.getUTCFullYear() + 1
      // The latest that can be meant.
      return [year, year - 1, year - 2].map(inYear).find(time => time <= limit) ?? Number.NaN
    },
  },
  // OpenWrt's logread
  {
    form: /^[A-Z][a-z]{2} ([A-Z][a-z]{2}) {1,2}(\d{1,2}) (\d\d):(\d\d):(\d\d) (\d{4}) /,
    read: ([month = '', ...rest], _until, { offset }) => timeIn(Number(rest[4]), month, rest, offset),
  },
]

function timeIn(year: number, month: string, rest: readonly string[], offset: number): number {
  const [day = Number.NaN, hour, minute, second] = rest.map(Number)
  const index = months.indexOf(month)
  return index < 0 ? Number.NaN : Date.UTC(year, index, day, hour, minute, second) - offset * MINUTE
}

/** The time at the beginning of a line, and what comes after it. */
export function splitStamp(line: string): [stamp: string | undefined, rest: string] {
  const found = stamps.find(({ form }) => form.test(line))?.form.exec(line)?.[0]
  return found === undefined ? [undefined, line] : [found, line.slice(found.length)]
}

/**
 * When it was.
 * @param until when the log was last written: a time without a year is the last such before that
 * @returns `undefined` for what is no time, or lies in the server's future
 */
export function readStamp(stamp: string, until: Date, clock: ServerClock): Date | undefined {
  for (const { form, read } of stamps) {
    const [found, ...groups] = form.exec(stamp) ?? []
    if (found === undefined) continue
    const time = read(groups, until, clock)
    return time <= clock.now.getTime() + DAY ? new Date(time) : undefined
  }
  return undefined
}
