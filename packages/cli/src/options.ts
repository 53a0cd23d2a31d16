import { KeytoolError } from '@keytool/keygen'
import { Command, type CommanderError } from 'commander'
import type { Context } from './context.js'

/** What a command takes. One line an option, in commander's own spelling of flags. */
export interface Usage {
  /** As typed, without the program's name: `agent status`. */
  readonly command: string
  /** Arguments in commander's spelling: `<file...>`, `[name]`. */
  readonly takes?: string
  readonly summary: string
  /** Lines to type; each gets the program's name in front. */
  readonly examples: readonly string[]
  readonly options?: readonly (readonly [flags: string, help: string, many?: 'many'])[]
  /** Words after the first belong to another program. */
  readonly passThrough?: boolean
}

export interface Parsed<O> {
  readonly words: readonly string[]
  readonly options: O
}

/**
 * Reads a command line. `undefined` when `--help` was asked for and has been printed.
 * @throws KeytoolError `usage`
 */
export function parse<O extends object>(
  usage: Usage,
  args: readonly string[],
  context: Context,
): Parsed<O> | undefined {
  const { say } = context
  const command = new Command(`${context.name} ${usage.command}`)
    .description(usage.summary)
    .exitOverride()
    .configureOutput({ writeOut: text => say.data(text), writeErr: () => {} })
    .allowExcessArguments(false)
    .helpOption('-h, --help', 'show this')
    // What it would suggest in place of a mistyped word can be the opposite of what was meant.
    .showSuggestionAfterError(false)
  if (usage.takes) command.arguments(usage.takes)
  for (const [flags, help, many] of usage.options ?? []) {
    // No default is handed over, because --help would show it.
    if (many) command.option(flags, help, (value: string, before?: string[]) => [...(before ?? []), value])
    else command.option(flags, help)
  }
  command
    .option('--json', 'print facts as JSON')
    .option('-q, --quiet', 'print errors only')
    .option('--no-color', 'no colour')
  if (usage.passThrough) command.passThroughOptions()
  const examples = usage.examples.map(line => `  ${context.name} ${line}`)
  command.addHelpText('after', `\nExample${examples.length > 1 ? 's' : ''}:\n${examples.join('\n')}`)
  try {
    command.parse([...args], { from: 'user' })
  } catch (error) {
    const { code, message } = error as CommanderError
    if (code === 'commander.helpDisplayed') return undefined
    if (!code?.startsWith('commander.')) throw error
    const isSecret = /'--(passphrase|password)'/.test(message)
    throw new KeytoolError('usage', plain(message), {
      ...(isSecret && { reason: 'a secret on the command line is seen by everybody on this machine' }),
      hint: isSecret
        ? 'put it in a file: --passphrase-file, --password-file (-: standard input)'
        : `${context.name} ${usage.command} --help`,
      cause: error,
    })
  }
  const options = command.opts<O & { json?: boolean; quiet?: boolean; color?: boolean }>()
  say.configure(options)
  return { words: command.args, options }
}

/** A whole number within bounds, from an option. Throws `usage`. */
export function wholeNumber(text: string, name: string, min: number, max: number): number {
  const value = /^\d{1,10}$/.test(text) ? Number(text) : Number.NaN
  if (!(value >= min && value <= max)) {
    throw new KeytoolError('usage', `${name} takes a whole number from ${min} to ${max}, not ${JSON.stringify(text)}`)
  }
  return value
}

/**
 * commander's message in our voice: one line, no `error:` in front, no full stop. What follows a `=` is left out: it may
 * be a secret that somebody thought could be given there.
 */
function plain(message: string): string {
  return message
    .replace(/^error: /, '')
    .replace(/^too many arguments.*/s, 'there are more words than this command takes')
    .replace(/('-[^'=]*)=.*'/s, "$1'")
    .replace(/\s*\n\s*/g, ' ')
    .replace(/\.$/, '')
}
