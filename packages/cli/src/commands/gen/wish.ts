import { hostname, userInfo } from 'node:os'
import { basename, join } from 'node:path'
import {
  algorithmOfType,
  checkComment,
  chooseCosts,
  formatOfOption,
  type KeyPlan,
  KeytoolError,
  planKey,
  type WritableFormat,
  type WriteOptions,
} from '@keytool/keygen'
import { askChoice, askText, askYes, hasTerminal } from '../../ask.js'
import type { Context } from '../../context.js'
import { isFolder, isThere } from '../../files.js'
import { fromHome } from '../../home-path.js'
import { newPassphrase } from '../../new-passphrase.js'
import { wholeNumber } from '../../options.js'
import { kinds } from './kinds.js'
import { numbered } from './numbered.js'
import type { Options } from './options.js'

/** All that has to be known before a key is made. */
export interface Wish {
  readonly plan: KeyPlan
  readonly format: WritableFormat
  /** Where each key goes, and its comment. */
  readonly keys: readonly { readonly path: string; readonly comment: string }[]
  /** Whether files that are there may be replaced. */
  readonly force: boolean
  /** What they are written with: the passphrase, and what it costs. */
  readonly writing: WriteOptions
}

/** Takes what the options say, and asks for the rest where somebody can be asked. */
export async function decide(options: Options, context: Context): Promise<Wish> {
  const asking = options.type === undefined && hasTerminal(context)
  if (options.passphrase && options.passphraseFile === undefined && hasTerminal(context)) {
    // Loaded while the first questions are answered.
    ;(await import('../../passphrase/strength.js')).warmUp()
  }
  const format = formatOfOption(options.format ?? 'openssh')
  const count = options.count === undefined ? undefined : wholeNumber(options.count, '--count', 1, 100_000)
  if (count !== undefined && options.file === undefined) {
    throw new KeytoolError('usage', '--count needs a pattern of names', { hint: "-f 'keys/web-%02d'" })
  }
  const bits = bitsOf(options)
  const plan = planKey(asking ? await askChoice('Kind of key', kindsFor(format, bits), context) : typeOf(options), bits)
  checkFit(format, plan, options, context)
  const path = await placeOf(plan.algorithm.type, format.option, options, asking, context)
  const paths = count === undefined ? [path] : numbered(path, count)
  const force = await mayReplace(paths, options, context)
  const comments = await commentsFor(paths, options, asking, context)
  const passphrase = await newPassphrase(
    {
      what: count === undefined ? context.say.path(path) : `the ${count} keys`,
      flag: '--passphrase-file',
      file: options.passphraseFile,
      none: !options.passphrase,
      guided: asking,
      known: [userName(), basename(path)],
    },
    context,
  )
  return {
    plan,
    format,
    keys: paths.map((each, i) => ({ path: each, comment: comments[i] ?? '' })),
    force,
    writing: passphrase ? { ...(await costsFor(format, options)), passphrase } : {},
  }
}

/** Only what can be made in this format, and has a choice of sizes where one was given, is worth asking about. */
function kindsFor(format: WritableFormat, bits: number | undefined): readonly (typeof kinds)[number][] {
  const fitting = kinds.filter(({ value }) => {
    const algorithm = algorithmOfType(value)
    return (
      format.holds(algorithm) && (bits === undefined || algorithm.sizes !== undefined || algorithm.bits({}) === bits)
    )
  })
  if (fitting.length > 0) return fitting
  throw new KeytoolError('usage', `no key of ${bits} bits fits into a file of format ${format.title}`)
}

/** What can't be is said before anything is asked. */
function checkFit(format: WritableFormat, { algorithm }: KeyPlan, options: Options, { name }: Context): void {
  if (!format.holds(algorithm)) {
    throw new KeytoolError('unsupported', `${format.title} files can't hold ${algorithm.type} keys`, {
      reason: 'nothing was made',
      hint: `${name} gen -t ${algorithm.type} --format openssh`,
    })
  }
  if (options.passphrase && format.ciphers.length === 0) {
    throw new KeytoolError('refused', `${format.title} files can't be encrypted`, {
      reason: 'nothing was made',
      hint: 'if the key is to lie open, say so: --no-passphrase',
    })
  }
  if (options.rounds !== undefined && !format.tuning?.includes('rounds')) {
    throw new KeytoolError('usage', `--rounds means nothing to ${format.title} files`)
  }
}

async function costsFor(format: WritableFormat, { rounds }: Options): Promise<WriteOptions> {
  if (rounds !== undefined) return { rounds: wholeNumber(rounds, '--rounds', 1, 10_000_000) }
  return chooseCosts(format, () => performance.now())
}

function bitsOf({ bits }: Options): number | undefined {
  return bits === undefined ? undefined : wholeNumber(bits, '-b', 1, 65536)
}

/** ssh-keygen's way of naming ECDSA (`-t ecdsa -b 384`) is taken, too. */
function typeOf({ type = 'ed25519', bits }: Options): string {
  if (type === 'dsa') {
    throw new KeytoolError('usage', 'DSA keys are not made any more: no server of today takes them', {
      hint: '-t ed25519',
    })
  }
  if (type.endsWith('-sk')) {
    throw new KeytoolError('usage', `${type} keys are made by their token`, { hint: `ssh-keygen -t ${type}` })
  }
  return type === 'ecdsa' ? `ecdsa-${bits ?? '256'}` : type
}

async function placeOf(
  type: string,
  format: string,
  options: Options,
  asking: boolean,
  context: Context,
): Promise<string> {
  if (options.file === '') throw new KeytoolError('usage', 'the name of the file is empty', { hint: '-f FILE' })
  if (options.file !== undefined) return fromHome(options.file, context)
  const suffix = format === 'openssh' ? '' : `.${format.replace(/\d$/, '')}`
  const stem = type.startsWith('ecdsa-') ? 'ecdsa' : type.replaceAll('-', '_')
  const fallback = join(context.places.ssh, `id_${stem}${suffix}`)
  if (!asking) return fallback
  const answer = await askText('Where', context, context.say.path(fallback))
  return fromHome(answer, context)
}

async function commentsFor(
  paths: readonly string[],
  { comment, count }: Options,
  asking: boolean,
  context: Context,
): Promise<string[]> {
  if (count !== undefined) {
    const pattern = comment ?? '%d'
    // Without a comment of their own, keys of a fleet are called what their files are.
    if (comment === undefined) return paths.map(path => basename(path))
    return numbered(checkComment(pattern), paths.length, 'same')
  }
  const label = comment ?? (asking ? await askText('Comment', context, defaultComment()) : defaultComment())
  return [checkComment(label)]
}

async function mayReplace(keys: readonly string[], options: Options, context: Context): Promise<boolean> {
  if (options.force) return true
  for (const path of keys.flatMap(key => [key, `${key}.pub`])) {
    if (!(await isThere(path))) continue
    if (await isFolder(path)) {
      throw new KeytoolError('exists', `${path} is a folder`, {
        reason: 'nothing was written',
        hint: `give the key a name in it: -f ${join(path, 'id_ed25519')}`,
      })
    }
    const shown = context.say.path(path)
    const mayAsk = keys.length === 1 && hasTerminal(context)
    if (mayAsk && (await askYes(`${shown} is there already. Replace it?`, context))) return true
    throw new KeytoolError('exists', `${path} is there already`, {
      reason: 'nothing was written',
      hint: 'choose another place with -f, or replace it with --force',
    })
  }
  return false
}

/** `user@host`, as ssh-keygen has it. */
export function defaultComment(): string {
  const user = userName()
  return user === '' ? hostname() : `${user}@${hostname()}`
}

/** In a container the running user may have no name at all. */
function userName(): string {
  try {
    return userInfo().username
  } catch {
    return ''
  }
}
