import { lstat, readdir } from 'node:fs/promises'

/** One place in a pattern: a character, any one, any run, or one of a set. */
type Piece = string | { readonly any: 'one' | 'run' } | { readonly set: string; readonly negated: boolean }

/**
 * The paths that fit a pattern of glob(7), in byte order: `*`, `?`, `[a-z]`, `[!a]` within a part of the path; none of them
 * fits a dot at its start. A pattern without them fits what is there by this name. A folder that can't be read is empty.
 * @param pattern absolute, with `/` between its parts
 * @param cap how many there may be
 * @throws RangeError when there are more
 */
export async function findPaths(pattern: string, cap: number): Promise<string[]> {
  const [root = '', ...parts] = pattern.split('/')
  let paths = [root]
  for (const part of parts) {
    if (part === '') continue
    const pieces = readPieces(part)
    const isPlain = pieces.every(piece => typeof piece === 'string')
    const next: string[] = []
    for (const path of paths) {
      const names = isPlain ? [pieces.join('')] : await list(path === '' ? '/' : path)
      for (const name of names) {
        if (!isPlain && (name.startsWith('.') !== part.startsWith('.') || !fits(pieces, [...name]))) continue
        next.push(`${path}/${name}`)
        if (next.length > cap) throw new RangeError(`more than ${cap} files fit`)
      }
    }
    paths = next
  }
  const there: string[] = []
  for (const path of paths) if (await isThere(path)) there.push(path)
  return there.sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
}

const PIECE = /\\(.)|\[(!?)(\]?[^\]]*)\]|(\*+)|(\?)|(.)/gsu

function readPieces(part: string): Piece[] {
  return Array.from(part.matchAll(PIECE), ([, escaped, negation, set, run, one, plain]) => {
    if (set !== undefined) return { set, negated: negation === '!' }
    if (run !== undefined || one !== undefined) return { any: run === undefined ? 'one' : 'run' }
    return escaped ?? plain ?? ''
  })
}

/** Only the last run is ever gone back to, so the time stays bounded. */
function fits(pieces: readonly Piece[], name: readonly string[]): boolean {
  let [p, n, run, mark] = [0, 0, -1, 0]
  while (n < name.length) {
    const piece = pieces[p]
    if (piece !== undefined && isRun(piece)) {
      run = p++
      mark = n
    } else if (piece !== undefined && fitsOne(piece, name[n] ?? '')) {
      p++
      n++
    } else if (run !== -1) {
      p = run + 1
      n = ++mark
    } else {
      return false
    }
  }
  return pieces.slice(p).every(isRun)
}

function isRun(piece: Piece): boolean {
  return typeof piece === 'object' && 'any' in piece && piece.any === 'run'
}

function fitsOne(piece: Piece, character: string): boolean {
  if (typeof piece === 'string') return piece === character
  if ('any' in piece) return true
  return isInSet(piece.set, character) !== piece.negated
}

function isInSet(set: string, character: string): boolean {
  const characters = [...set]
  for (let at = 0; at < characters.length; at++) {
    const first = characters[at] ?? ''
    const isRange = characters[at + 1] === '-' && at + 2 < characters.length
    const last = isRange ? (characters[at + 2] ?? first) : first
    if (first <= character && character <= last) return true
    if (isRange) at += 2
  }
  return false
}

async function list(folder: string): Promise<string[]> {
  return readdir(folder).catch(() => [])
}

async function isThere(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    () => false,
  )
}
