import { isAbsolute, join, sep } from 'node:path'
import { KeytoolError } from '@keytool/keygen'
import { MAX_INCLUDES, readLines } from '../config/ssh-config/files.js'
import { findPaths } from '../config/ssh-config/glob.js'
import { expandTilde } from '../config/ssh-config/tokens.js'
import { splitArguments, splitKeyword } from '../config/ssh-config/words.js'

/** Each host is read for itself, the whole file each time. */
const MAX_HOSTS = 2000
const MAX_DEPTH = 16

interface Walk {
  readonly home: string
  readonly names: Set<string>
  files: number
}

/**
 * The names that `Host` lines of a file for ssh write out, without `*`, `?` and `!`, in the order of the file; those of the
 * files it includes, too.
 * @param isNamed the user named it: then its owner is not looked at, as with `ssh -F`
 * @throws KeytoolError `not-found`; `damaged` for a file that can't be read as such, or over 2,000 names; `refused` when
 * another user may have written it
 */
export async function listSshHosts(
  path: string,
  { home, isNamed }: { readonly home: string; readonly isNamed: boolean },
): Promise<string[]> {
  const walk: Walk = { home, names: new Set(), files: 0 }
  if (await readInto(walk, path, isNamed, 0)) return [...walk.names]
  throw new KeytoolError('not-found', `${path} is not there`)
}

async function readInto(walk: Walk, path: string, isNamed: boolean, depth: number): Promise<boolean> {
  const { home, names } = walk
  if (depth > MAX_DEPTH || walk.files++ > MAX_INCLUDES) {
    throw new KeytoolError('damaged', `${path}: too many files include each other`)
  }
  const lines = await readLines(path, { home, uid: process.getuid?.(), checks: !isNamed, isNamed })
  for (const [index, text] of (lines ?? []).entries()) {
    const [keyword, words] = split(`${path} line ${index + 1}`, text)
    if (keyword === 'host') for (const word of words) if (!/[*?!]/.test(word)) names.add(word)
    if (keyword === 'include') for (const word of words) await include(walk, word, depth)
    if (names.size > MAX_HOSTS) throw new KeytoolError('damaged', `${path} names over ${MAX_HOSTS} hosts`)
  }
  return lines !== undefined
}

async function include(walk: Walk, pattern: string, depth: number): Promise<void> {
  const whole = pattern.startsWith('~') ? expandTilde(pattern, walk.home) : pattern
  const anchored = isAbsolute(whole) ? whole : join(walk.home, '.ssh', whole)
  for (const path of await findFiles(anchored.split(sep).join('/'))) await readInto(walk, path, false, depth + 1)
}

async function findFiles(pattern: string): Promise<string[]> {
  try {
    return await findPaths(pattern, MAX_INCLUDES)
  } catch (cause) {
    throw new KeytoolError('damaged', `too many files fit ${pattern}`, { cause })
  }
}

function split(where: string, text: string): [keyword: string, words: string[]] {
  try {
    const line = splitKeyword(text)
    return line ? [line.keyword, splitArguments(line.rest)] : ['', []]
  } catch (cause) {
    throw new KeytoolError('damaged', `${where}: ${(cause as Error).message}`, { cause })
  }
}
