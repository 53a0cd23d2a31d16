/** Every mention of the home folder as `~`, where it begins a path and is not part of a longer name. */
export function shortenPath(text: string, home: string): string {
  if (home.length < 2) return text
  const literal = home.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&')
  return text.replace(new RegExp(`(?<![\\w.~/\\\\'-])${literal}(?![^\\\\/\\s:;,)'"])`, 'g'), '~')
}

/** `2 keys`, `1 key`. */
export function count(number: number, noun: string, many: string = `${noun}s`): string {
  return `${number} ${number === 1 ? noun : many}`
}

/** Rows with their columns lined up, two spaces between. Lines without trailing blanks. */
export function columns(rows: readonly (readonly string[])[]): string[] {
  const widths: number[] = []
  for (const row of rows) {
    row.forEach((cell, i) => {
      widths[i] = Math.max(widths[i] ?? 0, cell.length)
    })
  }
  return rows.map(row =>
    row
      .map((cell, i) => cell.padEnd(widths[i] ?? 0))
      .join('  ')
      .trimEnd(),
  )
}
