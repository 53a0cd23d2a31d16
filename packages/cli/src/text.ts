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

/** What terminals draw two cells wide: East Asian scripts, and pictures. */
const WIDE =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{1f300}-\u{1faff}\u{20000}-\u{3fffd}]/u
/** What is drawn on the letter before it. */
const NO_WIDTH = /[\p{Mn}\p{Me}]/u

/** Cells of a terminal that a line without control characters takes. */
export function widthOf(line: string): number {
  let width = 0
  for (const character of line) width += cellsOf(character)
  return width
}

/** As much of a line, from its beginning, as so many cells can hold. */
export function cutToWidth(line: string, cells: number): string {
  let width = 0
  let end = 0
  for (const character of line) {
    width += cellsOf(character)
    if (width > cells) return line.slice(0, end)
    end += character.length
  }
  return line
}

function cellsOf(character: string): number {
  return NO_WIDTH.test(character) ? 0 : WIDE.test(character) ? 2 : 1
}
