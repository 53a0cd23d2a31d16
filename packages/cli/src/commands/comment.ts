import { type Original, readToRewrite, writeWhole } from '@keytool/agent/platform'
import {
  checkComment,
  detectPrivate,
  type Inspected,
  inspectKeys,
  KeytoolError,
  keyFormats,
  optionsLike,
  publicFormats,
} from '@keytool/keygen'
import type { Context, Run } from '../context.js'
import { naming, openToRewrite, type Unlocking } from '../files.js'
import { keyFacts } from '../key-facts.js'
import { parse } from '../options.js'
import { isAlone, rewriteKey } from '../rewrite.js'

const usage = {
  command: 'comment',
  takes: '<file> <text>',
  summary: "Change a key's comment, in the key file and in the .pub beside it. Format and passphrase stay.",
  examples: ['comment ~/.ssh/id_ed25519 hana@laptop'],
  options: [
    ['--passphrase-file <file>', "the first line of FILE is the key's passphrase (-: standard input)"],
    ['--any-cost', 'open it however much its KDF asks for'],
  ],
} as const

export const run: Run = async (args, context) => {
  const parsed = parse<Unlocking>(usage, args, context)
  if (!parsed) return 0
  const [path = '', text = ''] = parsed.words
  const comment = checkComment(text)
  const old = await readToRewrite(path)
  const isPrivate = keyFormats.some(format => format.detect(old.bytes))
  const { paths, facts } = isPrivate
    ? await inPrivate(path, old.bytes, comment, parsed.options, context)
    : await inPublic(path, old, comment)
  for (const each of paths) context.say.done(`${context.say.path(each)}  ${comment || 'no comment'}`)
  context.say.facts({ path, ...facts })
  return 0
}

/** What was written, and the key as `--json` shows it. */
interface Changed {
  readonly paths: readonly string[]
  readonly facts: object
}

async function inPrivate(
  path: string,
  bytes: Buffer,
  comment: string,
  options: Unlocking,
  context: Context,
): Promise<Changed> {
  // Nobody is asked for a passphrase in vain.
  const { keepsComment, title } = await naming(path, () => detectPrivate(bytes))
  if (!keepsComment) throw keepsNone(path, title)
  const { key, passphrase, format, facts, identity } = await openToRewrite(path, options, context)
  const renamed = key.withComment(comment)
  const fresh = await format.write(renamed, { ...optionsLike(facts, format), ...(passphrase && { passphrase }) })
  const paths = await rewriteKey({ path, key: renamed, bytes: fresh, passphrase, publicFollows: true, identity })
  return { paths, facts: { format: format.name, ...keyFacts(renamed.publicKey) } }
}

/** A public key in a file of its own. */
async function inPublic(path: string, { bytes, mode, identity }: Original, comment: string): Promise<Changed> {
  const [found, second] = await naming(path, () => inspectKeys(bytes, { fileName: path }))
  const format = publicFormats.find(row => row.name === found?.format)
  if (!found?.public || second || isLine(found) || !isAlone(bytes, found.format)) {
    throw new KeytoolError('unsupported', `${path} is not one key alone: its lines are for an editor`, {
      reason: 'nothing was changed',
    })
  }
  if (!format?.write || !format.keepsComment) throw keepsNone(path, format?.title ?? found.format)
  const key = found.public.withComment(comment)
  await writeWhole(path, format.write(key), { mode: mode & 0o777, replace: true, expects: identity })
  return { paths: [path], facts: { format: format.name, ...keyFacts(key) } }
}

/** A line of authorized_keys or known_hosts, which says more than its key. */
function isLine({ kind }: Inspected): boolean {
  return kind !== 'public' && kind !== 'certificate'
}

function keepsNone(path: string, title: string): KeytoolError {
  return new KeytoolError('unsupported', `${path}: ${title} files keep no comment`, {
    reason: 'nothing was changed',
    hint: 'keytool convert --to openssh turns a private key into one that does',
  })
}
