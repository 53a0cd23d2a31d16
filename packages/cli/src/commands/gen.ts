import { hostname, userInfo } from 'node:os'
import { join, resolve } from 'node:path'
import { writeTogether } from '@keytool/agent/platform'
import {
  checkComment,
  fingerprint,
  fingerprintLine,
  formatOfOption,
  generate,
  KeytoolError,
  planKey,
  showForeign,
  writePublicLine,
} from '@keytool/keygen'
import { askChoice, askText, askYes, hasTerminal } from '../ask.js'
import type { Context, Run } from '../context.js'
import { isThere } from '../files.js'
import { newPassphrase } from '../new-passphrase.js'
import { parse, wholeNumber } from '../options.js'
import { describeProtection } from '../protection.js'
import { columns } from '../text.js'

const usage = {
  command: 'gen',
  summary: 'Make a key pair. On a terminal, what you leave out is asked.',
  examples: ['gen', 'gen -t rsa -b 4096 -f ~/.ssh/id_work -C work'],
  options: [
    ['-t, --type <type>', 'ed25519, ecdsa-256, ecdsa-384, ecdsa-521 or rsa (default: ed25519)'],
    ['-b, --bits <n>', 'rsa: 2048 to 16384 (default: 3072)'],
    ['-f, --file <file>', 'where to (default: ~/.ssh/id_TYPE); the public half goes beside it, as FILE.pub'],
    ['-C, --comment <text>', 'a label (default: user@host)'],
    ['--format <format>', 'openssh or ppk (default: openssh)'],
    ['--passphrase-file <file>', 'the first line of FILE is the passphrase (-: standard input)'],
    ['--no-passphrase', 'make the key without protection'],
    ['--add', 'load it into the agent'],
    ['--force', 'replace files that are there'],
  ],
} as const

interface Options {
  type?: string
  bits?: string
  file?: string
  comment?: string
  format?: string
  passphraseFile?: string
  /** commander turns `--no-passphrase` into this, true by default. */
  passphrase: boolean
  add?: boolean
  force?: boolean
}

/** A sentence on each, for those who are asked. */
const kinds = [
  { value: 'ed25519', name: 'Ed25519     small, fast, accepted by every server since 2014' },
  { value: 'rsa', name: 'RSA 3072    for servers older than that' },
  { value: 'ecdsa-256', name: 'ECDSA 256   where a rule asks for a NIST curve' },
  { value: 'ecdsa-384', name: 'ECDSA 384   the same, larger' },
  { value: 'ecdsa-521', name: 'ECDSA 521   the same, largest' },
] as const

export const run: Run = async (args, context) => {
  const parsed = parse<Options>(usage, args, context)
  if (!parsed) return 0
  const { options } = parsed
  const { say } = context
  const asking = options.type === undefined && hasTerminal(context)
  const format = formatOfOption(options.format ?? 'openssh')
  const type = asking ? await askChoice('Kind of key', kinds, context) : typeOf(options)
  // A size that is never made is refused before anything is asked.
  const { bits } = planKey(type, options.bits === undefined ? undefined : wholeNumber(options.bits, '-b', 1, 65536))
  const path = await placeOf(type, format.option, options, asking, context)
  const comment = checkComment(
    options.comment ?? (asking ? await askText('Comment', context, defaultComment()) : defaultComment()),
  )
  const force = await mayReplace([path, `${path}.pub`], options, context)
  const passphrase = await newPassphrase(
    { file: options.passphraseFile, none: !options.passphrase },
    say.path(path),
    '--passphrase-file',
    context,
  )
  if (type === 'rsa' && (bits ?? 0) > 4096) say.note(`making an RSA key of ${bits} bits: this can take minutes`)
  const key = await generate(type, { comment, ...(bits !== undefined && { bits }) })
  const bytes = await format.write(key, passphrase ? { passphrase } : {})
  // Both files or none: a private key without its public half is a puzzle for whoever finds it.
  await writeTogether([
    { path, bytes, mode: 0o600, replace: force },
    { path: `${path}.pub`, bytes: Buffer.from(writePublicLine(key.publicKey)), mode: 0o644, replace: force },
  ])

  const protection = describeProtection(format.inspect(bytes))
  const rows = columns([
    ['private key', say.path(path), `${format.title}, ${protection}`],
    ['public key', say.path(`${path}.pub`), ''],
  ])
  for (const row of rows) say.done(row)
  say.line(`  ${showForeign(fingerprintLine(key.publicKey))}`)
  say.facts({
    path: resolve(path),
    publicPath: resolve(`${path}.pub`),
    format: format.name,
    type: key.algorithm.name,
    bits: key.publicKey.bits,
    comment,
    encrypted: passphrase !== undefined,
    fingerprint: { sha256: fingerprint(key.publicKey), md5: fingerprint(key.publicKey, 'md5') },
  })
  if (options.add) {
    const { addToAgent } = await (await import('../online.js')).loadAgentLink()
    await addToAgent(key, context)
  }
  say.line(`Next: ${context.name} install-pubkey -i ${say.word(path)} USER@HOST`)
  return 0
}

/** ssh-keygen's way of naming ECDSA (`-t ecdsa -b 384`) is taken, too. */
function typeOf({ type = 'ed25519', bits }: Options): string {
  if (type === 'dsa') {
    throw new KeytoolError('usage', 'DSA keys are not made any more: no server of today takes them', {
      hint: '-t ed25519',
    })
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
  if (options.file !== undefined) return options.file
  const suffix = format === 'openssh' ? '' : `.${format}`
  const fallback = join(context.places.ssh, `id_${type.replace(/-.*/, '')}${suffix}`)
  if (!asking) return fallback
  const answer = await askText('Where', context, context.say.path(fallback))
  return answer.replace(/^~(?=[\\/])/, context.places.home)
}

async function mayReplace(paths: readonly string[], options: Options, context: Context): Promise<boolean> {
  if (options.force) return true
  for (const path of paths) {
    if (!(await isThere(path))) continue
    const shown = context.say.path(path)
    if (hasTerminal(context) && (await askYes(`${shown} is there already. Replace it?`, context))) return true
    throw new KeytoolError('exists', `${path} is there already`, {
      reason: 'nothing was written',
      hint: 'choose another place with -f, or replace it with --force',
    })
  }
  return false
}

function defaultComment(): string {
  try {
    return `${userInfo().username}@${hostname()}`
  } catch {
    // In a container the running user may have no name at all.
    return hostname()
  }
}
