import { KeytoolError, type PublicKey, writePublicLine } from '@keytool/keygen'
import type { Run } from '../context.js'
import { publicHalf } from '../files.js'
import { keyFacts } from '../key-facts.js'
import { parse } from '../options.js'
import { writeResult } from '../output.js'

const usage = {
  command: 'public',
  takes: '<file>',
  summary: 'Print the public half of a key. Never asks for a passphrase.',
  examples: ['public ~/.ssh/id_ed25519', 'public old.ppk -o old.pub'],
  options: [
    ['-o, --output <file>', 'write it there instead of standard output'],
    ['--format <format>', 'openssh (default: openssh)'],
    ['--force', 'replace a file that is there'],
  ],
} as const

export const run: Run = async (args, context) => {
  const parsed = parse<{ output?: string; format?: string; force?: boolean }>(usage, args, context)
  if (!parsed) return 0
  const { output, format = 'openssh', force = false } = parsed.options
  if (format !== 'openssh') {
    throw new KeytoolError('usage', `${JSON.stringify(format)} is no format that public keys are written in`, {
      hint: 'one of: openssh',
    })
  }
  const key = await publicHalf(parsed.words[0] ?? '')
  const line = toLine(key)
  if (!context.say.json || output !== undefined) await writeResult(line, { path: output, mode: 0o644, force }, context)
  context.say.facts({ ...keyFacts(key), line: line.toString().trimEnd() })
  return 0
}

/** A comment that does not fit on one line is the file's fault, not that of whoever asks. */
function toLine(key: PublicKey): Buffer {
  try {
    return Buffer.from(writePublicLine(key))
  } catch (cause) {
    throw new KeytoolError('damaged', "the key's comment is no single line of text", {
      hint: 'ssh-keygen -c gives the key another',
      cause,
    })
  }
}
