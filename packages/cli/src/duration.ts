import { KeytoolError } from '@keytool/keygen'

/** Seconds in a unit of sshd_config(5), TIME FORMATS, in either case. None means seconds. */
const units: Readonly<Record<string, number>> = { '': 1, s: 1, m: 60, h: 3600, d: 86_400, w: 604_800 }

/** The agent protocol counts in 32 bits; ssh-add takes 31. */
const MOST = 2 ** 31 - 1

/**
 * A time as OpenSSH writes it: `90`, `10m`, `1h30m`.
 * @returns seconds, 1 to 2^31-1
 * @throws KeytoolError `usage`, naming the flag
 */
export function parseDuration(text: string, flag: string): number {
  const seconds = /^(\d+[smhdw]?)+$/i.test(text)
    ? [...text.matchAll(/(\d+)([smhdw]?)/gi)].reduce(
        (sum, [, count, unit = '']) => sum + Number(count) * (units[unit.toLowerCase()] ?? Number.NaN),
        0,
      )
    : Number.NaN
  if (seconds >= 1 && seconds <= MOST) return seconds
  throw new KeytoolError('usage', `${flag} ${JSON.stringify(text.slice(0, 40))} is not a time`, {
    hint: 'write it as 90, 10m, 8h or 1h30m; at least a second',
  })
}

/** `8 h`, `1 h 30 min`, `45 s`: two units at most. */
export function showDuration(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds))
  const parts = [
    [Math.floor(whole / 86_400), 'd'],
    [Math.floor((whole % 86_400) / 3600), 'h'],
    [Math.floor((whole % 3600) / 60), 'min'],
    [whole % 60, 's'],
  ] as const
  const first = parts.findIndex(([count]) => count > 0)
  if (first < 0) return '0 s'
  return parts
    .slice(first, first + 2)
    .filter(([count]) => count > 0)
    .map(([count, unit]) => `${count} ${unit}`)
    .join(' ')
}
