import { createHash } from 'node:crypto'

// Lines of a file as latin1, with their ends: every byte is one character.

/** Its lines with their ends. */
export function splitRows(bytes: Buffer): string[] {
  return bytes.toString('latin1').match(/[^\n]*\n|[^\n]+$/g) ?? []
}

export function joinRows(rows: readonly string[]): Buffer {
  return Buffer.from(rows.join(''), 'latin1')
}

export function endOf(row: string): string {
  return /\r?\n$/.exec(row)?.[0] ?? ''
}

export function textOf(row: string | undefined = ''): string {
  return row.slice(0, row.length - endOf(row).length)
}

export function withEnd(row: string): string {
  return endOf(row) === '' ? `${row}\n` : row
}

/** Short for a line, to find it by. */
export function digest(row: string | undefined): string {
  return row === undefined ? '' : createHash('sha256').update(textOf(row)).digest('hex').slice(0, 16)
}
