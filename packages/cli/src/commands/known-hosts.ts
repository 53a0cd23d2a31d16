import { KeytoolError } from '@keytool/keygen'
import type { Run } from '../context.js'
import { columns } from '../text.js'

interface Sub {
  readonly summary: string
  readonly load: () => Promise<{ run: Run }>
}

/** One row a sub-command. */
const subcommands: Readonly<Record<string, Sub>> = {
  list: { summary: 'list the hosts whose keys are known', load: () => import('./known-hosts/list.js') },
  remove: { summary: "remove a host's keys", load: () => import('./known-hosts/remove.js') },
}

export const run: Run = async (args, context) => {
  const { name: program, say } = context
  const [name = '', ...others] = args
  const sub = Object.hasOwn(subcommands, name) ? subcommands[name] : undefined
  if (sub) return (await sub.load()).run(others, context)
  if (name !== '--help' && name !== '-h') {
    const words = Object.keys(subcommands).join(', ')
    throw new KeytoolError(
      'usage',
      name === '' ? `known-hosts takes one of: ${words}` : `known-hosts has no ${JSON.stringify(name)}`,
      { hint: `${program} known-hosts --help` },
    )
  }
  const rows = columns(
    Object.entries(subcommands).map(([word, { summary }]) => [`  ${program} known-hosts ${word}`, summary]),
  )
  say.data(
    `Usage: ${program} known-hosts ${Object.keys(subcommands).join('|')} [...]\n\n` +
      "Servers' keys, where OpenSSH keeps them. A server that shows another key than is known is refused.\n\n" +
      `${rows.join('\n')}\n\nExample:\n  ${program} known-hosts remove web1\n`,
  )
  return 0
}
