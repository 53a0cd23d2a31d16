import { KeytoolError } from '@keytool/keygen'
import type { Run } from '../context.js'
import { columns } from '../text.js'

interface Sub {
  readonly summary: string
  readonly load: () => Promise<{ run: Run }>
}

/** One row a sub-command. */
const subcommands: Readonly<Record<string, Sub>> = {
  list: { summary: 'list the keys whose passphrases it keeps', load: () => import('./keychain/list.js') },
  check: {
    summary: 'say whether it answers, and whether what it keeps fits',
    load: () => import('./keychain/check.js'),
  },
  forget: { summary: 'have it forget passphrases', load: () => import('./keychain/forget.js') },
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
      name === '' ? `keychain takes one of: ${words}` : `keychain has no ${JSON.stringify(name)}`,
      { hint: `${program} keychain --help` },
    )
  }
  const rows = columns(
    Object.entries(subcommands).map(([word, { summary }]) => [`  ${program} keychain ${word}`, summary]),
  )
  say.data(
    `Usage: ${program} keychain ${Object.keys(subcommands).join('|')} [...]\n\n` +
      "Passphrases that the system's keychain keeps, put there by add --remember and gen --remember.\n\n" +
      `${rows.join('\n')}\n\nExample:\n  ${program} keychain forget ~/.ssh/id_work\n`,
  )
  return 0
}
