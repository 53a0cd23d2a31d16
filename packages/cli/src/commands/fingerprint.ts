import {
  bubbleBabble,
  bubbleBabbleLine,
  type FingerprintHash,
  fingerprint,
  fingerprintLine,
  type Inspected,
  inspectKeys,
  KeytoolError,
  type PublicKey,
  puttyFingerprint,
  randomart,
  showForeign,
} from '@keytool/keygen'
import type { Context, Run } from '../context.js'
import { forEach } from '../each.js'
import { publicOrOpened, type Unlocking, withCommentBeside, withFile } from '../files.js'
import { parse } from '../options.js'

const usage = {
  command: 'fingerprint',
  takes: '<file...>',
  summary: 'Print the fingerprint of each key, as ssh-keygen -l does.',
  examples: ['fingerprint ~/.ssh/id_ed25519.pub', 'fingerprint -E md5 --art old.ppk'],
  options: [
    ['-E, --hash <hash>', 'sha256 or md5 (default: sha256)'],
    ['--art', "with the picture of ssh-keygen's -lv"],
    ['-B, --bubblebabble', 'in words that can be read out, as ssh-keygen -B'],
    ['--putty', "as PuTTYgen and PuTTY's questions show it"],
    ['--passphrase-file <file>', 'the first line of FILE is the passphrase, where the file hides its public half'],
    ['--any-cost', 'open it however much its KDF asks for'],
  ],
} as const

interface Options extends Unlocking {
  hash?: string
  art?: boolean
  bubblebabble?: boolean
  putty?: boolean
}

export const run: Run = async (args, context) => {
  const parsed = parse<Options>(usage, args, context)
  if (!parsed) return 0
  const { options } = parsed
  const hash = hashNamed(options.hash ?? 'sha256')
  if (options.putty && options.bubblebabble) {
    throw new KeytoolError('usage', '-B and --putty contradict each other: PuTTY has no bubble babble')
  }
  const { say } = context
  const facts: object[] = []
  const status = await forEach(parsed.words, context, async path => {
    for (const found of await withFile(path, bytes => inspectKeys(bytes, { fileName: path }))) {
      if (found.format === 'ssh1' && 'bits' in found) {
        // SSH-1 had its own way of counting, and MD5 only; ssh-keygen shows no such keys any more.
        const { bits, comment, fingerprint: prints } = found
        say.line(showForeign(`${bits} ${prints[hash]} ${comment || 'no comment'} (RSA1)`))
        facts.push({ path, type: found.type, bits, comment, fingerprint: prints[hash] })
        continue
      }
      const key = await keyOf(found, path, options, context)
      say.line(showForeign(lineOf(key, hash, options), Number.POSITIVE_INFINITY))
      if (options.art) say.line(randomart(key, hash))
      facts.push({
        path,
        type: key.algorithm.name,
        bits: key.bits,
        comment: key.comment,
        fingerprint: options.bubblebabble ? bubbleBabble(key) : fingerprint(key, hash),
      })
    }
  })
  say.facts(facts)
  return status
}

function lineOf(key: PublicKey, hash: FingerprintHash, { bubblebabble, putty }: Options): string {
  if (putty) return puttyFingerprint(key, hash)
  return bubblebabble ? bubbleBabbleLine(key) : fingerprintLine(key, hash)
}

/** The key with the comment that ssh-keygen shows for it. */
async function keyOf(what: Inspected, path: string, options: Options, context: Context): Promise<PublicKey> {
  const key = what.public ?? (await hiddenKey(what, path, options, context))
  // Where the `.pub` beside a private key has no comment, ssh-keygen shows that file's name.
  if (what.kind === 'private') return withCommentBeside(path, key, `${path}.pub`)
  return 'label' in what ? key.withComment(what.label) : key
}

/** Files that hide their public half are opened; what has no key at all says so. */
async function hiddenKey(what: Inspected, path: string, options: Options, context: Context): Promise<PublicKey> {
  if (what.kind === 'private' && what.encrypted) return publicOrOpened(path, options, context)
  if ('error' in what && what.error) {
    throw new KeytoolError(what.error.code, `${path} line ${what.line}: ${what.error.message}`, { cause: what.error })
  }
  throw new KeytoolError('unsupported', `${path}: there is no key in it whose fingerprint could be shown`)
}

function hashNamed(text: string): FingerprintHash {
  const name = text.toLowerCase()
  if (name === 'sha256' || name === 'md5') return name
  throw new KeytoolError('usage', `-E takes sha256 or md5, not ${JSON.stringify(text)}`)
}
