import { KeytoolError } from '@keytool/keygen'
import type { Context } from '../../context.js'
import { type LogInOptions, logInFlags } from '../../log-in-options.js'
import { parse, type Usage } from '../../options.js'
import { reachFlags } from '../../reach.js'

const usage: Usage = {
  command: 'connect',
  takes: '<destination> [command...]',
  summary:
    'A shell on a server, or a command there. DESTINATION is a saved session or [USER@]HOST; what follows it and its options is the command.',
  examples: [
    'connect mail',
    'connect hana@example.com --charset euc-jp',
    'connect web1 uptime',
    "connect -p 229 hana@example.com 'tar cz Mail' > mail.tar.gz",
  ],
  options: [
    ['--charset <charset>', 'what programs there write in, such as euc-jp (none: hand the bytes on as they are)'],
    ...reachFlags,
    ...logInFlags,
    ['-A, --forward-agent', 'programs there may ask the agent here'],
    ['-a, --no-forward-agent', 'they may not, whatever the session says'],
    ['-t, --tty', 'a terminal for a command, too (-tt: even without one here)'],
    ['-T, --no-tty', 'no terminal, for a shell either'],
    ['-e, --escape <key>', 'the key that ~ is: a character, ^X, or none'],
    ['--force-tty', 'as -tt'],
  ],
  passThrough: true,
}

export interface ConnectOptions extends LogInOptions {
  readonly charset?: string
  readonly tty?: boolean
  readonly forceTty?: boolean
  readonly escape?: string
}

export interface CommandLine {
  /** A session's name or `[USER@]HOST`, as typed. */
  readonly destination: string
  /** As ssh puts it together: the words with blanks between them. Absent for a shell. */
  readonly command?: string
  readonly options: ConnectOptions
}

/**
 * Reads the line as ssh does: options stand before the destination and right behind it; the first word after those
 * begins the command, all of whose words are its own.
 * @returns `undefined` when help was asked for and printed
 * @throws KeytoolError `usage`
 */
export function readCommandLine(args: readonly string[], context: Context): CommandLine | undefined {
  const first = parse<ConnectOptions>(usage, args.map(joinTwice), context)
  if (!first) return undefined
  const place = args.length - first.words.length
  const [before, destination = '', after] = [args.slice(0, place), args[place], args.slice(place + 1)]
  // Whoever wrote -- has no options behind it.
  if (before.at(-1) === '--' || !after[0]?.startsWith('-') || after[0] === '-') {
    return describe(destination, after, first.options)
  }
  const second = parse<ConnectOptions>(
    { ...usage, takes: '[command...]' },
    [...before, ...after].map(joinTwice),
    context,
  )
  if (!second) return undefined
  return describe(destination, after.slice(after.length - second.words.length), second.options)
}

function describe(destination: string, words: readonly string[], options: ConnectOptions): CommandLine {
  const command = words.join(' ')
  return { destination, options, ...(command !== '' && { command }) }
}

/** The parser does not count. */
const joinTwice = (arg: string): string => (arg === '-tt' ? '--force-tty' : arg)

/**
 * The byte that begins an escape on a line of its own; `undefined` for none.
 * @throws KeytoolError `usage`
 */
export function readEscape(text = '~'): number | undefined {
  if (text === 'none') return undefined
  const control = /^\^([@-_a-z])$/.exec(text)?.[1]
  if (control) return control.toUpperCase().charCodeAt(0) & 0x1f
  if (/^[!-~]$/.test(text)) return text.charCodeAt(0)
  throw new KeytoolError('usage', `-e takes a character, ^ and a letter, or none, not ${JSON.stringify(text)}`)
}
