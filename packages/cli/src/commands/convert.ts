import { ciphers, formatOfOption, KeytoolError, type WriteOptions } from '@keytool/keygen'
import type { Context, Run } from '../context.js'
import { isThere, openKey } from '../files.js'
import { newPassphrase } from '../new-passphrase.js'
import { parse, wholeNumber } from '../options.js'
import { alreadyThere, writeResult } from '../output.js'
import { describeProtection } from '../protection.js'

const usage = {
  command: 'convert',
  takes: '<file>',
  summary: 'Turn a private key into another format. Comment and passphrase are kept unless you say otherwise.',
  examples: ['convert old.ppk --to openssh -o id_old', 'convert ~/.ssh/id_rsa --to ppk -o id_rsa.ppk'],
  options: [
    ['--to <format>', 'openssh or ppk'],
    ['-o, --output <file>', 'write it there instead of standard output'],
    ['--passphrase-file <file>', "the first line of FILE is the key's passphrase (-: standard input)"],
    ['--new-passphrase-file <file>', 'protect the result with this one instead'],
    ['--no-passphrase', 'leave the result without protection'],
    ['--cipher <cipher>', 'openssh: cipher (default: aes256-ctr)'],
    ['--rounds <n>', 'openssh: bcrypt rounds (default: 24)'],
    ['--argon2 <kind>', 'ppk: id, i or d (default: id)'],
    ['--memory <KiB>', 'ppk: memory of Argon2 (default: 8192)'],
    ['--passes <n>', 'ppk: passes of Argon2 (default: 21)'],
    ['--parallel <n>', 'ppk: lanes of Argon2 (default: 1)'],
    ['--force', 'replace a file that is there'],
  ],
} as const

interface Options {
  to?: string
  output?: string
  passphraseFile?: string
  newPassphraseFile?: string
  /** commander turns `--no-passphrase` into this, true by default. */
  passphrase: boolean
  cipher?: string
  rounds?: string
  argon2?: string
  memory?: string
  passes?: string
  parallel?: string
  force?: boolean
}

const kinds = { id: 'Argon2id', i: 'Argon2i', d: 'Argon2d' } as const

export const run: Run = async (args, context) => {
  const parsed = parse<Options>(usage, args, context)
  if (!parsed) return 0
  const { options } = parsed
  const path = parsed.words[0] ?? ''
  if (options.to === undefined) {
    throw new KeytoolError('usage', 'which format is it to become?', { hint: '--to openssh or --to ppk' })
  }
  if (options.passphraseFile === '-' && options.newPassphraseFile === '-') {
    throw new KeytoolError('usage', 'only one secret can come from standard input')
  }
  const format = formatOfOption(options.to)
  const costs = costsOf(options, format.option)
  await checkFree(options)
  const opened = await openKey(path, options, context)
  const passphrase = await passphraseFor(opened.passphrase, options, context)
  const bytes = await format.write(opened.key, { ...costs, ...(passphrase && { passphrase }) })
  await writeResult(bytes, { path: options.output, mode: 0o600, force: options.force === true }, context)
  if (options.output !== undefined && options.output !== '-') {
    const protection = describeProtection(format.inspect(bytes))
    context.say.done(`${context.say.path(options.output)}  ${format.title}, ${protection}`)
  }
  return 0
}

async function passphraseFor(old: Buffer | undefined, options: Options, context: Context): Promise<Buffer | undefined> {
  const { newPassphraseFile: file, passphrase } = options
  if (file === undefined && passphrase) return old
  return newPassphrase({ what: 'the result', flag: '--new-passphrase-file', file, none: !passphrase }, context)
}

/** Which format each option of cost belongs to. */
const costOptions = [
  { name: 'cipher', flag: '--cipher', format: 'openssh' },
  { name: 'rounds', flag: '--rounds', format: 'openssh' },
  { name: 'argon2', flag: '--argon2', format: 'ppk' },
  { name: 'memory', flag: '--memory', format: 'ppk' },
  { name: 'passes', flag: '--passes', format: 'ppk' },
  { name: 'parallel', flag: '--parallel', format: 'ppk' },
] as const

function costsOf(options: Options, to: string): WriteOptions {
  const { cipher, rounds, argon2, memory, passes, parallel } = options
  const foreign = costOptions.find(({ name, format }) => options[name] !== undefined && format !== to)
  if (foreign) throw new KeytoolError('usage', `${foreign.flag} belongs to --to ${foreign.format}`)
  if (cipher !== undefined && !ciphers.some(row => row.name === cipher)) {
    throw new KeytoolError('usage', `${JSON.stringify(cipher)} is no cipher for keys`, {
      hint: `one of: ${ciphers.map(row => row.name).join(', ')}`,
    })
  }
  const kind = argon2 === undefined ? undefined : kinds[argon2 as keyof typeof kinds]
  if (argon2 !== undefined && !kind) {
    throw new KeytoolError('usage', `--argon2 takes id, i or d, not ${JSON.stringify(argon2)}`)
  }
  return {
    ...(cipher !== undefined && { cipher }),
    ...(rounds !== undefined && { rounds: wholeNumber(rounds, '--rounds', 1, 8192) }),
    argon2: {
      ...(kind && { kind }),
      ...(memory !== undefined && { memory: wholeNumber(memory, '--memory', 8, 1 << 20) }),
      ...(passes !== undefined && { passes: wholeNumber(passes, '--passes', 1, 1 << 20) }),
      ...(parallel !== undefined && { parallelism: wholeNumber(parallel, '--parallel', 1, 255) }),
    },
  }
}

/** A file that is in the way is said before anybody types a passphrase, and before anything is decrypted. */
async function checkFree({ output, force }: Options): Promise<void> {
  if (output === undefined || output === '-' || force || !(await isThere(output))) return
  throw alreadyThere(output)
}
