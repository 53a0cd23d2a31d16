/** YYYYMMDD, or with HHMM or HHMMSS behind it, in the server's own time or with a Z in UTC (sshd(8), expiry-time). */
const TIME = /^(\d{4})(\d\d)(\d\d)(?:(\d\d)(\d\d)(\d\d)?)?(Z|UTC)?$/i
/** Where the day ends last of all, in milliseconds. */
const LAST_ZONE = 12 * 3_600_000

/**
 * The end of a line of authorized_keys. Where it is in the server's own time, which nobody here knows, the latest that
 * can be meant: what is called over is over.
 * @returns `undefined` for what sshd takes for no time, and then passes the line over
 */
export function readExpiry(text: string): Date | undefined {
  const [, year, month, day, hour = '0', minute = '0', second = '0', zone] = TIME.exec(text) ?? []
  if (year === undefined || month === undefined || day === undefined) return undefined
  const numbers = [month, day, hour, minute, second].map(Number)
  if (numbers.some((number, i) => number < (least[i] ?? 0) || number > (most[i] ?? 0))) return undefined
  const [m = 1, d = 1, h = 0, min = 0, s = 0] = numbers
  const time = Date.UTC(Number(year), m - 1, d, h, min, s)
  // Seconds since 1970 that are none, or before, are no time to sshd.
  return time > 0 ? new Date(zone === undefined ? time + LAST_ZONE : time) : undefined
}

/** Of month, day, hour, minute, second, as strptime(3) has them. */
const least = [1, 1, 0, 0, 0]
const most = [12, 31, 23, 59, 60]
