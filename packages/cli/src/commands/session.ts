import { KeytoolError } from '@keytool/keygen'
import type { Run } from '../context.js'
import { columns } from '../text.js'

interface Sub {
  readonly summary: string
  load(): Promise<{ readonly run: Run }>
}

/** One row a sub-command. */
const subcommands: Readonly<Record<string, Sub>> = {
  save: { summary: 'save where a server is and what is to be forwarded', load: () => import('./session/save.js') },
  list: { summary: 'list the saved sessions', load: () => import('./session/list.js') },
  show: { summary: 'show one', load: () => import('./session/show.js') },
  edit: { summary: 'change one', load: () => import('./session/edit.js') },
  remove: { summary: 'remove one', load: () => import('./session/remove.js') },
  import: { summary: "take over PuTTY's, KiTTY's, WinSCP's or ssh's", load: () => import('./session/import.js') },
  export: { summary: 'write them for ssh or PuTTY', load: () => import('./session/export.js') },
}

export const run: Run = async (args, context) => {
  const { name: program, say } = context
  const [name = '', ...others] = args
  const sub = Object.hasOwn(subcommands, name) ? subcommands[name] : undefined
  if (sub) return (await sub.load()).run(others, context)
  if (name !== '--help' && name !== '-h') {
    const words = Object.keys(subcommands).join(', ')
    const message = name === '' ? `session takes one of: ${words}` : `session has no ${JSON.stringify(name)}`
    throw new KeytoolError('usage', message, { hint: `${program} session --help` })
  }
  const rows = Object.entries(subcommands).map(([word, { summary }]) => [`  ${program} session ${word}`, summary])
  say.data(
    `Usage: ${program} session ${Object.keys(subcommands).join('|')} [...]\n\n${columns(rows).join('\n')}\n\nExamples:\n` +
      `  ${program} session save mail hana@example.com -p 229 -L 1110:localhost:110 -L 1025:localhost:25\n` +
      `  ${program} session import putty.reg\n`,
  )
  return 0
}
