import {
  type FingerprintHash,
  fingerprint,
  fingerprintLine,
  inspectKeys,
  KeytoolError,
  randomart,
  showForeign,
} from '@keytool/keygen'
import type { Run } from '../context.js'
import { forEach } from '../each.js'
import { withCommentBeside, withFile } from '../files.js'
import { parse } from '../options.js'

const usage = {
  command: 'fingerprint',
  takes: '<file...>',
  summary: 'Print the fingerprint of each key, as ssh-keygen -l does.',
  examples: ['fingerprint ~/.ssh/id_ed25519.pub', 'fingerprint -E md5 --art old.ppk'],
  options: [
    ['-E, --hash <hash>', 'sha256 or md5 (default: sha256)'],
    ['--art', "with the picture of ssh-keygen's -lv"],
  ],
} as const

export const run: Run = async (args, context) => {
  const parsed = parse<{ hash?: string; art?: boolean }>(usage, args, context)
  if (!parsed) return 0
  const hash = hashNamed(parsed.options.hash ?? 'sha256')
  const { say } = context
  const facts: object[] = []
  const status = await forEach(parsed.words, context, path =>
    withFile(path, async bytes => {
      for (const found of inspectKeys(bytes)) {
        if (!found.public) throw new KeytoolError('secret-needed', 'the file hides its public key')
        // Where the `.pub` beside a private key has no comment, ssh-keygen shows that file's name.
        const key = found.kind === 'private' ? await withCommentBeside(path, found.public, `${path}.pub`) : found.public
        say.line(showForeign(fingerprintLine(key, hash), Number.POSITIVE_INFINITY))
        if (parsed.options.art) say.line(randomart(key, hash))
        facts.push({
          path,
          type: key.algorithm.name,
          bits: key.bits,
          comment: key.comment,
          fingerprint: fingerprint(key, hash),
        })
      }
    }),
  )
  say.facts(facts)
  return status
}

function hashNamed(text: string): FingerprintHash {
  const name = text.toLowerCase()
  if (name === 'sha256' || name === 'md5') return name
  throw new KeytoolError('usage', `-E takes sha256 or md5, not ${JSON.stringify(text)}`)
}
