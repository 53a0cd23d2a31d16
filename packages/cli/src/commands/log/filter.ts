import type { LedgerRecord } from '@keytool/agent'
import { KeytoolError } from '@keytool/keygen'

/** Which entries are wanted, as typed. */
export interface LogFilter {
  since?: string
  key?: string
  host?: string
}

/**
 * @param now milliseconds since 1970
 * @returns undefined where all are wanted
 * @throws KeytoolError `usage` for a time that can't be read
 */
export function matcherOf(
  { since, key, host }: LogFilter,
  now: number,
): ((record: LedgerRecord) => boolean) | undefined {
  if (since === undefined && key === undefined && host === undefined) return undefined
  const from = since === undefined ? undefined : new Date(timeOf(since, now)).toISOString()
  return record =>
    // All times are UTC and of one length: as texts they are in the order of time.
    (from === undefined || record.time >= from) &&
    (key === undefined || record.key === key || (record.comment?.includes(key) ?? false)) &&
    (host === undefined || record.host === host)
}

const units: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 }
const DATE = /^\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:\d\d)?)?$/

function timeOf(text: string, now: number): number {
  const [, number, unit = ''] = /^(\d{1,6})([smhdw])$/.exec(text) ?? []
  if (number !== undefined) return now - Number(number) * (units[unit] ?? 0)
  // A day begins at the user's midnight, not at that of Greenwich.
  const time = DATE.test(text) ? Date.parse(text.length === 10 ? `${text}T00:00` : text) : Number.NaN
  if (!Number.isNaN(time)) return time
  throw new KeytoolError('usage', `--since takes a time, not ${JSON.stringify(text)}`, {
    hint: '30m, 12h, 7d, or a date: 2026-07-01, 2026-07-01T09:30',
  })
}
