import type { OldLine } from './lines.js'
import { digest, textOf, withEnd } from './rows.js'

/** A row of the file while lines are put back. A hostile one has a million: each is looked at once. */
interface Place {
  row: string
  /** Whether the numbers of lines count it. */
  readonly isCounted: boolean
  /** Which of the lines that lines are to stand below; numbers are compared faster than digests. */
  readonly mark: number | undefined
}

/**
 * The rows with the lines where they stood: below the line they stood below, else by their number.
 * @param added lines that the rotation has put there, which the numbers do not count
 */
export function putBack(rows: readonly string[], lines: readonly OldLine[], added: readonly string[]): string[] {
  const ours = new Set(added)
  const wanted = new Map(lines.map(({ above }, index) => [above, index]))
  const marks = new Map<string, number | undefined>()
  const placeOf = (row: string): Place => {
    const text = textOf(row)
    if (!marks.has(text)) marks.set(text, wanted.get(digest(row)))
    return { row, isCounted: !ours.has(text), mark: marks.get(text) }
  }
  const places = rows.map(placeOf)
  for (const { line, text, above } of [...lines].sort((a, b) => a.line - b.line)) {
    const at = findPlace(places, line - 1, wanted.get(above), above === '')
    const ahead = places[at - 1]
    if (ahead) ahead.row = withEnd(ahead.row)
    places.splice(at, 0, placeOf(at < places.length ? withEnd(text) : text))
  }
  return places.map(({ row }) => row)
}

/** Below the line it stood below, where that stands nearest to where it was; else where it was by its number. */
function findPlace(places: readonly Place[], wanted: number, mark: number | undefined, isFirst: boolean): number {
  let nearest = isFirst ? wanted : Number.POSITIVE_INFINITY
  let found = isFirst ? places.findIndex(({ isCounted }) => isCounted) : -1
  let byNumber = places.length
  let position = 0
  let isBelow = false
  for (let index = 0; index <= places.length; index++) {
    const place = places[index]
    if (place && !place.isCounted) continue
    const distance = Math.abs(position - wanted)
    if (isBelow && distance < nearest) {
      nearest = distance
      found = index
    }
    if (position === wanted) byNumber = index
    isBelow = mark !== undefined && place?.mark === mark
    position++
  }
  return found < 0 ? byNumber : found
}
