import { KeytoolError } from '@keytool/keygen'
import type { Run } from './context.js'
import { columns } from './text.js'

/** One command of several under a common word. Each is loaded when it runs, and only then. */
export interface Subcommand {
  readonly summary: string
  readonly load: () => Promise<{ readonly run: Run }>
}

export interface Family {
  /** The common word: `session`. */
  readonly command: string
  /** What they are about, where their summaries do not say it. */
  readonly about?: string
  /** One row a sub-command, in the order in which `--help` shows them. */
  readonly subcommands: Readonly<Record<string, Subcommand>>
  /** Lines to type; each gets the program's name in front. */
  readonly examples: readonly string[]
}

/** The command that only hands on to what its first word names. */
export function dispatchTo(family: Family): Run {
  const { command, about, subcommands, examples } = family
  const words = Object.keys(subcommands)
  return async (args, context) => {
    const { name: program, say } = context
    const [first = '', ...others] = args
    const sub = Object.hasOwn(subcommands, first) ? subcommands[first] : undefined
    if (sub) return (await sub.load()).run(others, context)
    if (first !== '--help' && first !== '-h') {
      const all = words.join(', ')
      const message = first === '' ? `${command} takes one of: ${all}` : `${command} has no ${JSON.stringify(first)}`
      throw new KeytoolError('usage', message, { hint: `${program} ${command} --help` })
    }
    const rows = Object.entries(subcommands).map(([word, { summary }]) => [`  ${program} ${command} ${word}`, summary])
    const blocks = [
      `Usage: ${program} ${command} ${words.join('|')} [...]`,
      ...(about === undefined ? [] : [about]),
      columns(rows).join('\n'),
      [`Example${examples.length > 1 ? 's' : ''}:`, ...examples.map(line => `  ${program} ${line}`)].join('\n'),
    ]
    say.data(`${blocks.join('\n\n')}\n`)
    return 0
  }
}
