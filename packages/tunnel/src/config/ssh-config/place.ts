import { join, sep } from 'node:path'
import { type ErrorCode, KeytoolError, showForeign } from '@keytool/keygen'

/** Where something was said: a file as it may be shown (`~` for the home folder) and its line, or `-o …` and line 0. */
export interface Place {
  readonly file: string
  readonly line: number
}

/** Text as it was said, and where: what is found wrong with it later can still be pointed at. */
export interface Said {
  readonly text: string
  readonly place: Place
}

/** Something that can't be so, with its place: `damaged` in a file, `usage` on the command line. */
export function failAt(place: Place, message: string, hint?: string, code?: ErrorCode): KeytoolError {
  const where = place.line === 0 ? place.file : `${place.file} line ${place.line}`
  const fallback = place.line === 0 ? 'usage' : 'damaged'
  return new KeytoolError(code ?? fallback, `${where}: ${message}`, hint === undefined ? {} : { hint })
}

/** Foreign text in quotes, escaped and cut. */
export function quote(text: string): string {
  return `"${showForeign(text, 64)}"`
}

/** A path ready to be shown: `~` for the home folder. */
export function showPath(path: string, home: string): string {
  const inHome = path.startsWith(join(home, sep))
  return showForeign(inHome ? join('~', path.slice(join(home, sep).length)) : path)
}
