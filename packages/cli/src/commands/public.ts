import { readWhole } from '@keytool/agent/platform'
import {
  isKeytoolError,
  KeytoolError,
  keyFormats,
  type PublicFormat,
  type PublicKey,
  publicFormatOfOption,
  sshfpRecords,
} from '@keytool/keygen'
import type { Run } from '../context.js'
import { isSameFile, publicOrOpened } from '../files.js'
import { keyFacts } from '../key-facts.js'
import { parse } from '../options.js'
import { writeResult } from '../output.js'

const usage = {
  command: 'public',
  takes: '<file>',
  summary: 'Print the public half of a key. Asks for a passphrase only where the file hides that half.',
  examples: ['public ~/.ssh/id_ed25519', 'public old.ppk --format rfc4716 -o old.pub'],
  options: [
    ['-o, --output <file>', 'write it there instead of standard output'],
    ['--format <format>', 'openssh, rfc4716, spki, pkcs1, jwk or sshfp (default: openssh)'],
    ['--host <name>', 'sshfp: whose key it is, as the zone file calls it (default: @)'],
    ['--passphrase-file <file>', "the first line of FILE is the key's passphrase (-: standard input)"],
    ['--any-cost', 'open it however much its KDF asks for'],
    ['--force', 'replace a file that is there'],
  ],
} as const

interface Options {
  output?: string
  format?: string
  host?: string
  passphraseFile?: string
  anyCost?: boolean
  force?: boolean
}

export const run: Run = async (args, context) => {
  const parsed = parse<Options>(usage, args, context)
  if (!parsed) return 0
  const { output, format: name = 'openssh', host, force = false } = parsed.options
  const format = publicFormatOfOption(name)
  if (host !== undefined && name !== 'sshfp') throw new KeytoolError('usage', '--host belongs to --format sshfp')
  const path = parsed.words[0] ?? ''
  if (force) await keepPrivate(path, output)
  const key = await publicOrOpened(path, parsed.options, context)
  const bytes = host === undefined ? write(format, key) : Buffer.from(sshfpRecords(key, host))
  if (!context.say.json || output !== undefined) {
    await writeResult(bytes, { path: output, mode: 0o644, force }, context)
  }
  context.say.facts({ ...keyFacts(key), [name === 'openssh' ? 'line' : 'text']: bytes.toString().trimEnd() })
  return 0
}

/** The public half never takes the place of the private key it comes from, whatever is forced. */
async function keepPrivate(path: string, output: string | undefined): Promise<void> {
  if (output === undefined || output === '-' || !(await isSameFile(path, output))) return
  const bytes = await readWhole(path)
  if (!keyFormats.some(format => format.detect(bytes))) return
  throw new KeytoolError('refused', `${output} is the private key itself; its public half would take its place`, {
    reason: 'nothing was written',
    hint: `-o ${output}.pub`,
  })
}

/** A comment that does not fit on one line is the file's fault, not that of whoever asks. */
function write(format: Required<Pick<PublicFormat, 'write'>>, key: PublicKey): Buffer {
  try {
    return format.write(key)
  } catch (cause) {
    if (!isKeytoolError(cause) || cause.code !== 'usage') throw cause
    throw new KeytoolError('damaged', "the key's comment is no single line of text", {
      hint: 'keytool comment gives the key another',
      cause,
    })
  }
}
