import { isAbsolute, join, sep } from 'node:path'
import { KeytoolError } from '@keytool/keygen'
import { MAX_INCLUDES, readLines } from '../config/ssh-config/files.js'
import { findPaths } from '../config/ssh-config/glob.js'
import { expandTilde } from '../config/ssh-config/tokens.js'
import { splitArguments, splitKeyword } from '../config/ssh-config/words.js'

/** Each host is read for itself, the whole file each time. */
const MAX_HOSTS = 2000
const MAX_DEPTH = 16
/** Lines that are read for an import in all, those of one file for each host that includes it: some seconds. */
export const MAX_WORK = 1_000_000
/** A longer line counts as several, in characters. */
const LINE = 80

interface Walk {
  readonly home: string
  readonly names: Set<string>
  readonly patterns: Set<string>
  readonly matches: Set<string>
  files: number
  lines: number
}

export interface SshHosts {
  readonly names: readonly string[]
  /** What is read for each host, in lines; at least 1. */
  readonly lines: number
  /** Patterns that fit some hosts and name none, such as `*.example`, each once; the first 2,000. Foreign text. */
  readonly patterns: readonly string[]
  /** What `Match` blocks ask for, in the same way; not that of those that ask for nothing. */
  readonly matches: readonly string[]
}

/**
 * The names that `Host` lines of a file for ssh write out, without `*`, `?` and `!`, in the order of the file; those of the
 * files it includes, too; and how much there is to read.
 * @param isNamed the user named it: then its owner is not looked at, as with `ssh -F`
 * @throws KeytoolError `not-found`; `damaged` for a file that can't be read as such, over 2,000 names, or over 1,000,000 lines; `refused` when
 * another user may have written it
 */
export async function listSshHosts(
  path: string,
  { home, isNamed }: { readonly home: string; readonly isNamed: boolean },
): Promise<SshHosts> {
  const walk: Walk = { home, names: new Set(), patterns: new Set(), matches: new Set(), files: 0, lines: 1 }
  if (await readInto(walk, path, isNamed, 0)) {
    const { names, patterns, matches, lines } = walk
    return { names: [...names], lines, patterns: [...patterns], matches: [...matches] }
  }
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
    if (keyword === 'host') for (const word of words) addHost(walk, word)
    if (keyword === 'match') addMatch(walk, words.join(' '))
    if (keyword === 'include') for (const word of words) await include(walk, word, depth)
    walk.lines += 1 + Math.floor(text.length / LINE)
    if (walk.lines > MAX_WORK) throw new KeytoolError('damaged', `${path} includes over ${MAX_WORK} lines`)
    if (names.size > MAX_HOSTS) throw new KeytoolError('damaged', `${path} names over ${MAX_HOSTS} hosts`)
  }
  return lines !== undefined
}

/** What fits every host holds settings for all; what is excepted is no host of the block. */
function addHost({ names, patterns }: Walk, word: string): void {
  if (!/[*?!]/.test(word)) names.add(word)
  else if (/[^*]/.test(word) && !word.startsWith('!') && patterns.size < MAX_HOSTS) patterns.add(word)
}

function addMatch({ matches }: Walk, asked: string): void {
  if (!/^(?:(?:canonical|final) )*all$/i.test(asked) && matches.size < MAX_HOSTS) matches.add(asked)
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
