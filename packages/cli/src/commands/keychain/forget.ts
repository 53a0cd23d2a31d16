import { resolve } from 'node:path'
import type { Keychain } from '@keytool/agent'
import { fingerprint, KeytoolError, showForeign } from '@keytool/keygen'
import type { Context, Run } from '../../context.js'
import { forEach } from '../../each.js'
import { publicHalf } from '../../files.js'
import { openKeychain } from '../../keychain.js'
import { noteForgotten } from '../../login-keys.js'
import { parse } from '../../options.js'
import { type Kept, readKept } from './entries.js'

const usage = {
  command: 'keychain forget',
  takes: '[key...]',
  summary: [
    "Have the system's keychain forget the passphrases of keys: by file, by fingerprint, or by a comment that only one has.",
    'The keys and their files stay; the agent asks for the passphrase again.',
  ].join('\n'),
  examples: ['keychain forget ~/.ssh/id_work', 'keychain forget SHA256:9mFz…Q1k', 'keychain forget --all'],
  options: [['--all', 'every passphrase']],
} as const

export const run: Run = async (args, context) => {
  const parsed = parse<{ all?: boolean }>(usage, args, context)
  if (!parsed) return 0
  const { words, options } = parsed
  if (words.length > 0 === (options.all === true)) {
    throw new KeytoolError('usage', 'name the keys whose passphrases are to be forgotten, or say --all')
  }
  const { say } = context
  const keychain = openKeychain(context)
  const kept = await readKept(keychain, context)
  const facts: object[] = []
  const forgetOne = async (each: Kept, word: string) => {
    if (facts.some(fact => 'fingerprint' in fact && fact.fingerprint === each.fingerprint)) return
    await forget(each, word, keychain, context)
    facts.push({ fingerprint: each.fingerprint })
  }
  const status = options.all
    ? await forEach(
        kept.map(each => each.fingerprint),
        context,
        async print => {
          for (const each of kept) if (each.fingerprint === print) await forgetOne(each, print)
        },
      )
    : await forEach(words, context, async word => forgetOne(await findKept(word, kept), word))
  if (options.all && kept.length === 0) say.note('the keychain keeps no passphrase of a key')
  say.facts(facts)
  return status
}

async function forget(kept: Kept, word: string, keychain: Keychain, context: Context): Promise<void> {
  const { say } = context
  const wasThere = await keychain.forget(kept.fingerprint)
  if (!wasThere && !kept.remembered && !kept.isListed) throw notKept(word)
  // Afterwards: of a passphrase that is still there, agent.json goes on to tell.
  await noteForgotten(kept, context)
  const name = showForeign([kept.fingerprint, kept.comment].filter(Boolean).join(' '))
  say.done(wasThere ? `forgot the passphrase of ${name}` : `${name} had no passphrase there; agent.json says so now`)
}

/**
 * What a word means: a fingerprint, with or without `SHA256:`, a key file that is or was there, or a comment. A key that
 * nothing lists may have something in the keychain all the same.
 * @throws KeytoolError `not-found`; `usage` for a comment that several have
 */
async function findKept(word: string, kept: readonly Kept[]): Promise<Kept> {
  const path = resolve(word)
  const byPrint = kept.find(({ fingerprint: print }) => print === word || print === `SHA256:${word}`)
  if (byPrint) return byPrint
  // What lies in the file now counts for more than what lay there once.
  const shown = await publicHalf(word).catch(() => undefined)
  const byKey = shown && kept.find(({ fingerprint: print }) => print === fingerprint(shown))
  const byFile = byKey ?? kept.find(({ file }) => file === path)
  if (byFile) return byFile
  const print = FINGERPRINT.exec(word) ? word.replace(/^(?!SHA256:)/, 'SHA256:') : shown && fingerprint(shown)
  if (print !== undefined) return { fingerprint: print, comment: '', remembered: false, isListed: false }
  const [first, second] = kept.filter(({ comment }) => comment !== '' && comment === word)
  if (second) {
    throw new KeytoolError('usage', `several keys have the comment ${word}`, {
      reason: 'nothing was forgotten for it',
      hint: 'name the one by its fingerprint: keytool keychain list',
    })
  }
  if (first) return first
  throw notKept(word)
}

/** SHA-256 in base64, with or without its name. */
const FINGERPRINT = /^(?:SHA256:)?[A-Za-z0-9+/]{43}$/

function notKept(word: string): KeytoolError {
  return new KeytoolError('not-found', `the keychain keeps no passphrase for ${word}`, {
    hint: 'keytool keychain list',
  })
}
