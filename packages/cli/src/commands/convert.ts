import {
  formatOfOption,
  isPlain,
  type KeyFacts,
  type KeyFormat,
  KeytoolError,
  optionsLike,
  type PrivateKey,
  rateKdf,
  showForeign,
  type WritableFormat,
  type WriteOptions,
} from '@keytool/keygen'
import type { Context, Run } from '../context.js'
import { isSameFile, isThere, openKey, openToReplace, withCommentBeside } from '../files.js'
import { keyFacts } from '../key-facts.js'
import { newPassphrase } from '../new-passphrase.js'
import { parse } from '../options.js'
import { alreadyThere, writeResult } from '../output.js'
import { describeRated } from '../protection.js'
import { checkSame, rewriteKey } from '../rewrite.js'
import { warnOf } from '../warn.js'
import { costsOf } from './convert/costs.js'
import { type Options, usage } from './convert/options.js'

export const run: Run = async (args, context) => {
  const parsed = parse<Options>(usage, args, context)
  if (!parsed) return 0
  const { options } = parsed
  const path = parsed.words[0] ?? ''
  if (options.to === undefined) {
    throw new KeytoolError('usage', 'which format is it to become?', { hint: '--to openssh, --to ppk ...' })
  }
  if (options.passphraseFile === '-' && options.newPassphraseFile === '-') {
    throw new KeytoolError('usage', 'only one secret can come from standard input')
  }
  const format = formatOfOption(options.to)
  const costs = costsOf(options, format)
  await checkFree(options)
  const { output } = options
  // In place of the file itself: then that very file has to be there still, and hold nothing else.
  const isInPlace = output !== undefined && output !== '-' && (await isSameFile(output, path))
  const read = await (isInPlace ? openToReplace : openKey)(path, options, context)
  const { key: opened, passphrase: old, format: from, facts: before } = read
  // PEM and its like keep no comment; the `.pub` beside them may.
  const { comment } = await withCommentBeside(path, opened.publicKey, '')
  const key = opened.comment === '' && isPlain(comment) ? opened.withComment(comment) : opened
  checkFit(key, from, format)
  const passphrase = await passphraseFor(format, old, options, context)
  const bytes = await format.write(key, {
    ...keptCosts(before, format, costs),
    ...costs,
    ...(passphrase && { passphrase }),
  })
  if (isInPlace) await rewriteKey({ path: output, key, bytes, passphrase, identity: read.identity })
  else await place({ key, bytes, passphrase }, options, context)
  if (output !== undefined && output !== '-') {
    const facts = await format.inspect(bytes)
    context.say.done(`${context.say.path(output)}  ${format.title}, ${describeRated(facts)}`)
    const { encrypted, cipher, kdf } = facts
    context.say.facts({
      path: output,
      format: facts.format,
      encrypted,
      cipher,
      kdf,
      ...keyFacts(key.publicKey),
    })
  }
  await warnOf(path, key.publicKey, context, from.name.startsWith('ppk'))
  if (key.certificate && !format.name.startsWith('ppk')) {
    context.say.note(`${format.title} files keep no certificate: keytool public ${context.say.word(path)} prints it`)
  }
  if (key.comment !== '' && !format.keepsComment) {
    context.say.note(`${format.title} files keep no comment: "${showForeign(key.comment)}" is left out`)
  }
  return 0
}

/** A guess does not get cheaper on the way: where both formats have the same KDF, and the file's is a strong one, it stays. */
function keptCosts({ kdf }: KeyFacts, to: WritableFormat, asked: WriteOptions): WriteOptions {
  const isAsked = asked.rounds !== undefined || asked.kdf !== undefined || asked.argon2 !== undefined
  return kdf && !isAsked && rateKdf(kdf) === 'strong' ? optionsLike({ kdf }, to) : {}
}

async function place(
  { key, bytes, passphrase }: { key: PrivateKey; bytes: Buffer; passphrase: Buffer | undefined },
  { output, force = false }: Options,
  context: Context,
): Promise<void> {
  // What takes the place of another key is looked at before that one goes; what is new takes nobody's.
  const check = (written: Buffer) => checkSame(written, key, passphrase)
  await writeResult(bytes, { path: output, mode: 0o600, force, ...(force && { check }) }, context)
}

function checkFit({ algorithm }: PrivateKey, from: KeyFormat, to: WritableFormat): void {
  if (to.holds(algorithm)) return
  throw new KeytoolError('unsupported', `${to.title} files can't hold ${algorithm.type} keys`, {
    reason: `the key comes from a file of format ${from.title}; nothing was written`,
  })
}

async function passphraseFor(
  format: WritableFormat,
  old: Buffer | undefined,
  options: Options,
  context: Context,
): Promise<Buffer | undefined> {
  const { newPassphraseFile: file, passphrase } = options
  const isWanted = passphrase && (old !== undefined || file !== undefined)
  if (isWanted && format.ciphers.length === 0) {
    throw new KeytoolError('refused', `${format.title} files can't be encrypted${old ? ', and this key is' : ''}`, {
      reason: 'nothing was written',
      hint: 'if it is to lie open, say so: --no-passphrase',
    })
  }
  if (file === undefined && passphrase) return old
  return newPassphrase({ what: 'the result', flag: '--new-passphrase-file', file, none: !passphrase }, context)
}

/** A file that is in the way is said before anybody types a passphrase, and before anything is decrypted. */
async function checkFree({ output, force }: Options): Promise<void> {
  if (output === undefined || output === '-' || force || !(await isThere(output))) return
  throw alreadyThere(output)
}
