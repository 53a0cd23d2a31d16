import {
  formatOfOption,
  isPlain,
  type KeyFormat,
  KeytoolError,
  type PrivateKey,
  type WritableFormat,
} from '@keytool/keygen'
import type { Context, Run } from '../context.js'
import { isSameFile, isThere, openKey, withCommentBeside } from '../files.js'
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
  const { key: opened, passphrase: old, format: from } = await openKey(path, options, context)
  // PEM and its like keep no comment; the `.pub` beside them may.
  const { comment } = await withCommentBeside(path, opened.publicKey, '')
  const key = opened.comment === '' && isPlain(comment) ? opened.withComment(comment) : opened
  checkFit(key, from, format)
  const passphrase = await passphraseFor(format, old, options, context)
  const bytes = await format.write(key, { ...costs, ...(passphrase && { passphrase }) })
  await place({ path, key, bytes, passphrase }, options, context)
  if (options.output !== undefined && options.output !== '-') {
    const facts = await format.inspect(bytes)
    context.say.done(`${context.say.path(options.output)}  ${format.title}, ${describeRated(facts)}`)
    const { encrypted, cipher, kdf } = facts
    context.say.facts({
      path: options.output,
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
    context.say.note(`${format.title} files keep no comment: ${JSON.stringify(key.comment)} is left out`)
  }
  return 0
}

/** A file in place of the one that was read is looked at once more before the old one goes. */
async function place(
  result: { path: string; key: PrivateKey; bytes: Buffer; passphrase: Buffer | undefined },
  { output, force = false }: Options,
  context: Context,
): Promise<void> {
  if (output !== undefined && output !== '-' && (await isSameFile(output, result.path))) {
    await rewriteKey({ ...result, path: output })
    return
  }
  // What takes the place of another key is looked at as closely; what is new takes nobody's.
  const check = (written: Buffer) => checkSame(written, result.key, result.passphrase)
  await writeResult(result.bytes, { path: output, mode: 0o600, force, ...(force && { check }) }, context)
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
