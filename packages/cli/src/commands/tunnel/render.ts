import type { RunningTunnel } from '@keytool/tunnel'
import { columns, count } from '../../text.js'

/** How a state of a forward is said. */
const forwardWords: Readonly<Record<string, string>> = { up: 'alive', dead: 'dead', unknown: '-' }

export interface RenderOptions {
  /** Milliseconds since the epoch. */
  readonly now: number
  /** Whether the terminal has arrows. */
  readonly unicode: boolean
  /** Where it goes, in place of its name. */
  readonly title?: string
}

/** A tunnel for people: a line for itself, one for each forward, and what went wrong. */
export function renderTunnel(tunnel: RunningTunnel, { now, unicode, title = tunnel.name }: RenderOptions): string[] {
  const { state, since, until, reconnects, lastError, forwards, pid } = tunnel
  const time = showTime(now - Date.parse(since))
  const next = until === null ? '' : `, next try in ${showTime(Math.max(0, Date.parse(until) - now))}`
  const head = [title, `${state} ${time}${next}`, `reconnects ${reconnects}`, ...(pid === null ? [] : [`pid ${pid}`])]
  const [down, up] = unicode ? ['↓', '↑'] : ['in', 'out']
  const rows = forwards.map(forward => [
    `  ${forward.kind === 'remote' ? 'server ' : ''}${forward.listen} -> ${forward.to}`,
    forwardWords[forward.state] ?? forward.state,
    `${count(forward.open, 'conn')}, ${forward.connections} so far`,
    `${showSize(forward.bytesIn)} ${down}`,
    `${showSize(forward.bytesOut)} ${up}`,
    ...(forward.state === 'dead' && forward.lastError ? [forward.lastError] : []),
  ])
  const isUp = state === 'up'
  return [head.join('   '), ...columns(rows), ...(!isUp && lastError ? [`  ${lastError}`] : [])]
}

/** `00:03:12`, `2 d 04:00:00`. */
export function showTime(milliseconds: number): string {
  const seconds = Math.max(0, Math.floor(milliseconds / 1000))
  const days = Math.floor(seconds / 86_400)
  const parts = [Math.floor(seconds / 3600) % 24, Math.floor(seconds / 60) % 60, seconds % 60]
  const clock = parts.map(part => String(part).padStart(2, '0')).join(':')
  return days > 0 ? `${days} d ${clock}` : clock
}

/** `0 B`, `14.2 KiB`, `3.0 GiB`. */
export function showSize(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB']
  let size = bytes
  let unit = 0
  while (size >= 1024 && unit < units.length - 1) {
    size /= 1024
    unit++
  }
  return `${unit === 0 ? size : size.toFixed(1)} ${units[unit]}`
}
