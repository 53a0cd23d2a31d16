/** Names that may have been meant: beginning alike, or at most two slips of the hand away. Nearest first, at most three. */
export function findNear(name: string, names: readonly string[]): string[] {
  const wanted = name.toLowerCase()
  return names
    .map(candidate => ({ candidate, slips: distance(wanted, candidate.toLowerCase()) }))
    .filter(({ candidate, slips }) => slips <= 2 || beginsAlike(wanted, candidate.toLowerCase()))
    .sort((a, b) => a.slips - b.slips)
    .slice(0, 3)
    .map(({ candidate }) => candidate)
}

function beginsAlike(a: string, b: string): boolean {
  return Math.min(a.length, b.length) >= 2 && (a.startsWith(b) || b.startsWith(a))
}

/** Letters to insert, drop or replace (Levenshtein), row by row. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (const [i, letter] of [...a].entries()) {
    const next = [i + 1]
    for (let j = 0; j < b.length; j++) {
      const replaced = (row[j] ?? 0) + (letter === b[j] ? 0 : 1)
      next.push(Math.min(replaced, (row[j + 1] ?? 0) + 1, (next[j] ?? 0) + 1))
    }
    row = next
  }
  return row.at(-1) ?? 0
}
