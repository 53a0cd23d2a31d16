import { hostname, userInfo } from 'node:os'
import { join, resolve } from 'node:path'
import { writeTogether } from '@keytool/agent/platform'
import {
  checkComment,
  fingerprintLine,
  formatOfOption,
  generate,
  type KeyFacts,
  type KeyFormat,
  type KeyPlan,
  KeytoolError,
  type PublicKey,
  planKey,
  showForeign,
  writePublicLine,
} from '@keytool/keygen'
import { askChoice, askText, askYes, hasTerminal } from '../ask.js'
import type { Context, Run } from '../context.js'
import { isThere } from '../files.js'
import { keyFacts } from '../key-facts.js'
import { newPassphrase } from '../new-passphrase.js'
import { loadAgentLink } from '../online-link.js'
import { parse, wholeNumber } from '../options.js'
import { describeProtection } from '../protection.js'
import { columns } from '../text.js'

const usage = {
  command: 'gen',
  summary: 'Make a key pair. On a terminal, gen without -t asks for everything that is not given.',
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
  // An agent that is missing is said before anybody answers a question.
  const agent = options.add ? await (await loadAgentLink()).openAgent(context) : undefined
  try {
    const wish = await decide(options, context)
    const { path, format, force, passphrase, plan, comment } = wish
    if ((plan.bits ?? 0) > 4096) context.say.note(`making an RSA key of ${plan.bits} bits: this can take minutes`)
    const key = await generate(plan.algorithm.type, { comment, ...(plan.bits !== undefined && { bits: plan.bits }) })
    const bytes = await format.write(key, passphrase ? { passphrase } : {})
    // Both files or none: a private key without its public half is a puzzle for whoever finds it.
    await writeTogether([
      { path, bytes, mode: 0o600, replace: force },
      { path: `${path}.pub`, bytes: Buffer.from(writePublicLine(key.publicKey)), mode: 0o644, replace: force },
    ])
    tell(wish, key.publicKey, format.inspect(bytes), agent?.path, context)
    await agent?.add(key)
    if (agent) context.say.done(`loaded into the agent at ${context.say.path(agent.path)}`)
    context.say.line(`Next: ${context.name} install-pubkey -i ${context.say.word(path)} USER@HOST`)
    return 0
  } finally {
    agent?.close()
  }
}

/** All that has to be known before a key is made. */
interface Wish {
  readonly plan: KeyPlan
  readonly format: KeyFormat
  readonly path: string
  /** Whether files that are there may be replaced. */
  readonly force: boolean
  readonly comment: string
  readonly passphrase: Buffer | undefined
}

/** Takes what the options say, and asks for the rest where somebody can be asked. */
async function decide(options: Options, context: Context): Promise<Wish> {
  const asking = options.type === undefined && hasTerminal(context)
  const format = formatOfOption(options.format ?? 'openssh')
  const bits = options.bits === undefined ? undefined : wholeNumber(options.bits, '-b', 1, 65536)
  const plan = planKey(asking ? await askChoice('Kind of key', kinds, context) : typeOf(options), bits)
  const path = await placeOf(plan.algorithm.type, format.option, options, asking, context)
  const force = await mayReplace([path, `${path}.pub`], options, context)
  const label = options.comment ?? (asking ? await askText('Comment', context, defaultComment()) : defaultComment())
  const comment = checkComment(label)
  const passphrase = await newPassphrase(
    {
      what: context.say.path(path),
      flag: '--passphrase-file',
      file: options.passphraseFile,
      none: !options.passphrase,
    },
    context,
  )
  return { plan, format, path, force, comment, passphrase }
}

function tell(wish: Wish, key: PublicKey, facts: KeyFacts, agent: string | undefined, { say }: Context): void {
  const { path, format } = wish
  const rows = columns([
    ['private key', say.path(path), `${format.title}, ${describeProtection(facts)}`],
    ['public key', say.path(`${path}.pub`), ''],
  ])
  for (const row of rows) say.done(row)
  say.line(`  ${showForeign(fingerprintLine(key))}`)
  say.facts({
    path: resolve(path),
    publicPath: resolve(`${path}.pub`),
    format: format.name,
    encrypted: facts.encrypted,
    ...keyFacts(key),
    ...(agent !== undefined && { agent }),
  })
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
