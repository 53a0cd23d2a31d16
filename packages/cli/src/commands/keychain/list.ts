import type { Run } from '../../context.js'
import { openKeychain } from '../../keychain.js'
import { parse } from '../../options.js'
import { columns } from '../../text.js'
import { nameCells } from './entries.js'

const usage = {
  command: 'keychain list',
  summary: "List the keys whose passphrases the system's keychain keeps. The passphrases are never shown.",
  examples: ['keychain list', 'keychain list --json'],
} as const

export const run: Run = async (args, context) => {
  if (!parse(usage, args, context)) return 0
  const { say, name } = context
  const entries = await openKeychain(context).list()
  for (const row of columns(entries.map(entry => nameCells(entry, context)))) say.line(row)
  if (entries.length === 0) say.note(`the keychain keeps no passphrase of a key: ${name} add --remember FILE`)
  say.facts(entries.map(({ fingerprint, comment, file }) => ({ fingerprint, comment, file: file ?? null })))
  return 0
}
