import type { LedgerRecord } from '@keytool/agent'
import { showForeign } from '@keytool/keygen'

/** An entry as a row: time, what was done, key, program, whom it was for, what for, why. All of it escaped. */
export function describeEntry(record: LedgerRecord): string[] {
  const { action, verdict, key, comment, purpose, forwarded, lost } = record
  const what = [action, verdict === 'allowed' ? undefined : verdict].filter(Boolean).join(' ')
  const notes = [
    purpose,
    forwarded ? 'forwarded' : undefined,
    lost === undefined ? undefined : `${lost} lost`,
    record.reason,
  ]
  return [
    showTime(record.time),
    what,
    comment || key || '-',
    programOf(record),
    targetOf(record),
    notes.filter(Boolean).join(', '),
  ].map(cell => showForeign(cell, 600))
}

function programOf({ program, via, pid }: LedgerRecord): string {
  if (program === undefined) return pid === undefined ? '-' : `pid ${pid}`
  return via === undefined || via === program ? program : `${program} (${via})`
}

function targetOf({ user, host }: LedgerRecord): string {
  if (user === undefined) return host ?? '-'
  return host === undefined ? `${user}@?` : `${user}@${host}`
}

/** `2026-11-24 23:06:05`, in the local time. */
export function showTime(iso: string): string {
  const time = new Date(iso)
  if (Number.isNaN(time.getTime())) return showForeign(iso, 30)
  const two = (value: number) => String(value).padStart(2, '0')
  const day = [time.getFullYear(), two(time.getMonth() + 1), two(time.getDate())].join('-')
  return `${day} ${[time.getHours(), time.getMinutes(), time.getSeconds()].map(two).join(':')}`
}
