import { createHash } from 'node:crypto'
import type { FingerprintHash } from './fingerprint.js'
import type { PublicKey } from './key.js'

const WIDTH = 17
const HEIGHT = 9
/** What a field shows, by how often the bishop came by. The last two mark start and end. */
const MARKS = ' .o+=*BOX@%&#/^SE'

/** The drunken bishop's walk over a 17 x 9 board, framed as `ssh-keygen -lv` frames it. Lines without a final newline. */
export function randomart(key: PublicKey, hash: FingerprintHash = 'sha256'): string {
  const visits = Array.from({ length: HEIGHT }, () => new Array<number>(WIDTH).fill(0))
  const top = MARKS.length - 3
  let x = (WIDTH - 1) / 2
  let y = (HEIGHT - 1) / 2
  const visit = (change: (before: number) => number) => {
    const row = visits[y]
    if (row) row[x] = change(row[x] ?? 0)
  }
  for (const byte of createHash(hash).update(key.plain.blob).digest()) {
    for (let shift = 0; shift < 8; shift += 2) {
      const move = byte >> shift
      x = clamp(x + (move & 1 ? 1 : -1), WIDTH)
      y = clamp(y + (move & 2 ? 1 : -1), HEIGHT)
      visit(before => Math.min(before + 1, top))
    }
  }
  // A walk that ends where it began shows its end.
  const end = { x, y }
  x = (WIDTH - 1) / 2
  y = (HEIGHT - 1) / 2
  visit(() => MARKS.indexOf('S'))
  ;({ x, y } = end)
  visit(() => MARKS.indexOf('E'))
  const rows = visits.map(row => `|${row.map(count => MARKS[count]).join('')}|`)
  return [frame(title(key)), ...rows, frame(`[${hash.toUpperCase()}]`)].join('\n')
}

function title(key: PublicKey): string {
  const full = `[${key.algorithm.label} ${key.bits}]`
  return full.length <= WIDTH ? full : `[${key.algorithm.label}]`
}

function frame(label: string): string {
  const left = Math.floor((WIDTH - label.length) / 2)
  return `+${'-'.repeat(left)}${label}${'-'.repeat(WIDTH - label.length - left)}+`
}

function clamp(value: number, size: number): number {
  return Math.max(0, Math.min(size - 1, value))
}
