import type { Usage } from '../options.js'
import { type HostOutcome, isNamedByOption, typedFor } from './member.js'

/** Options of every command that take no value. */
const bare = ['--json', '-q', '--quiet', '--no-color']

/** Whether an option takes the next word as its value. */
type Takes = 'value' | 'value if there is one' | 'nothing'

/** An option as it was typed, with its value. */
interface Typed {
  readonly words: readonly string[]
  /** A word behind it would be taken for its value. */
  readonly isHungry: boolean
}

/**
 * The same line for the hosts that are not done: without those that are, and with those by name that came from a file,
 * unless only the file can name them.
 * @param line begins with the command
 * @param flags which options there are. One that is not among them may take a value: the word behind it is left alone
 */
export function lineForRest(
  line: readonly string[],
  outcomes: readonly HostOutcome[],
  flags: Usage['options'] = [],
): string[] {
  const done = new Set(outcomes.filter(({ code }) => code === 0).map(({ host }) => host))
  const left = outcomes.filter(outcome => outcome.code !== 0 && !isNamedByOption(outcome)).map(typedFor)
  const needsFile = left.includes(undefined)
  const [command = '', ...words] = line
  const { options, hosts } = split(words, readFlags(flags))
  const kept = needsFile ? options : options.filter(({ words: [name = ''] }) => !/^--hosts(=|$)/.test(name))
  // Those that stand in the file come from there again.
  const named = needsFile ? [] : left.filter(host => host !== undefined)
  const rest = [...new Set([...hosts.filter(host => !done.has(host)), ...named])]
  const needsEnd = rest.some(host => host.startsWith('-')) || (rest.length > 0 && kept.at(-1)?.isHungry)
  return [command, ...kept.flatMap(option => option.words), ...(needsEnd ? ['--'] : []), ...rest]
}

function readFlags(flags: NonNullable<Usage['options']>): ReadonlyMap<string, Takes> {
  const takes = new Map<string, Takes>(bare.map(name => [name, 'nothing']))
  for (const [spelling] of flags) {
    const value = spelling.includes('<') ? 'value' : spelling.includes('[') ? 'value if there is one' : 'nothing'
    for (const name of spelling.split(/[ ,]+/)) if (name.startsWith('-')) takes.set(name, value)
  }
  return takes
}

/** A command line's options, each with its value, and its other words. */
function split(words: readonly string[], takes: ReadonlyMap<string, Takes>): { options: Typed[]; hosts: string[] } {
  const options: Typed[] = []
  const hosts: string[] = []
  for (let i = 0; i < words.length; i++) {
    const word = words[i] ?? ''
    if (word === '--') {
      hosts.push(...words.slice(i + 1))
      break
    }
    if (!word.startsWith('-') || word === '-') {
      hosts.push(word)
      continue
    }
    const wanted = hasValue(word) ? 'nothing' : (takes.get(word) ?? 'value')
    const next = words[i + 1]
    const isHungry = wanted === 'value if there is one' && (next === undefined || next.startsWith('-'))
    const size = wanted === 'nothing' || isHungry ? 1 : 2
    options.push({ words: words.slice(i, i + size), isHungry })
    i += size - 1
  }
  return { options, hosts }
}

/** `--port=22`, `-p22`. */
function hasValue(word: string): boolean {
  return word.startsWith('--') ? word.includes('=') : word.length > 2
}
