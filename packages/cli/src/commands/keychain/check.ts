import { type Keychain, SealedKey } from '@keytool/agent'
import { readPlain } from '@keytool/agent/platform'
import { detectPrivate, type ErrorCode, fingerprint, isKeytoolError } from '@keytool/keygen'
import type { Run } from '../../context.js'
import { exitStatus } from '../../exit.js'
import { isTokenEntry } from '../../fleet/forge/token.js'
import { openKeychain } from '../../keychain.js'
import { parse } from '../../options.js'
import { showProgress } from '../../progress.js'
import { openStored } from '../../remembered.js'
import { columns } from '../../text.js'
import { type Kept, nameCells, readKept } from './entries.js'

const usage = {
  command: 'keychain check',
  summary: [
    "Say whether the system's keychain answers, and of each passphrase that it keeps or should keep whether it still opens",
    'its key. Each is tried on its file, which takes as long as opening it.',
  ].join('\n'),
  examples: ['keychain check', 'keychain check --json'],
} as const

type State = 'ok' | 'stale' | 'gone' | 'missing' | 'unprotected' | 'unreadable'

interface Verdict {
  /** What makes the command fail. */
  readonly code?: ErrorCode
  readonly text: string
  /** What to type. */
  readonly remedy?: (file: string, print: string) => string
}

/** One row a state. */
const verdicts: Readonly<Record<State, Verdict>> = {
  ok: { text: 'ok' },
  stale: {
    code: 'secret-wrong',
    text: "stale: the file's passphrase was changed",
    remedy: file => `add --remember ${file}`,
  },
  gone: {
    code: 'not-found',
    text: 'the file is gone, or holds another key',
    remedy: (_file, print) => `keychain forget ${print}`,
  },
  missing: {
    code: 'not-found',
    text: 'missing: agent.json says it is remembered, the keychain has none',
    remedy: file => `add --remember ${file}`,
  },
  unprotected: {
    code: 'failed',
    text: 'the file has no passphrase any more',
    remedy: (_file, print) => `keychain forget ${print}`,
  },
  unreadable: { code: 'damaged', text: "the file can't be read", remedy: file => `inspect ${file}` },
}

export const run: Run = async (args, context) => {
  if (!parse(usage, args, context)) return 0
  const { say, name } = context
  const keychain = openKeychain(context)
  const state = await keychain.state()
  const all = await readKept(keychain, context).catch(error => {
    // Why it can't be asked is an error of its own; how it stands is known all the same.
    say.facts({ keychain: state, keys: [] })
    throw error
  })
  // Tokens open no file of ours: whether one is good, its server says.
  const kept = all.filter(each => !isTokenEntry(each))
  const progress = showProgress('trying the passphrases', context)
  const found: { kept: Kept; state: State }[] = []
  try {
    for (const each of kept) {
      found.push({ kept: each, state: await judge(each, keychain) })
      progress.at(found.length / kept.length)
    }
  } finally {
    progress.end()
  }
  say.line(`the keychain is ${state}`)
  const rows = columns(found.map(each => [...nameCells(each.kept, context), verdicts[each.state].text]))
  for (const [i, { kept: each, state: verdict }] of found.entries()) {
    say.line(rows[i])
    const { remedy } = verdicts[verdict]
    const word = each.file === undefined ? 'FILE' : say.word(each.file)
    if (remedy) say.line(`  ${name} ${remedy(word, each.fingerprint)}`)
    else if (!each.remembered) say.line(`  agent.json does not say so: ${name} add --remember ${word}`)
  }
  if (found.length === 0) say.line('it keeps no passphrase of a key')
  say.facts({
    keychain: state,
    keys: found.map(({ kept: { fingerprint: print, comment, file, remembered }, state: each }) => ({
      fingerprint: print,
      comment,
      file: file ?? null,
      remembered,
      state: each,
    })),
  })
  const [code] = found.flatMap(each => verdicts[each.state].code ?? [])
  return code === undefined ? 0 : exitStatus[code]
}

async function judge({ fingerprint: print, file }: Kept, keychain: Keychain): Promise<State> {
  if (file === undefined) return 'gone'
  try {
    const bytes = await readPlain(file)
    const facts = await detectPrivate(bytes).inspect(bytes)
    if (!facts.public || fingerprint(facts.public) !== print) return 'gone'
    if (!facts.encrypted) return 'unprotected'
    const found = await openStored(await SealedKey.read(bytes), keychain)
    if (found.state === 'unavailable') throw found.error
    if (found.state !== 'opened') return found.state
    found.key.wipe()
    found.passphrase.fill(0)
    return 'ok'
  } catch (error) {
    if (!isKeytoolError(error) || !stateOf[error.code]) throw error
    return stateOf[error.code] ?? 'unreadable'
  }
}

/** What reading a file can come to. Errors of the keychain's (`refused`, `unreachable`) end the command. */
const stateOf: Partial<Record<ErrorCode, State>> = {
  'not-found': 'gone',
  damaged: 'unreadable',
  unsupported: 'unreadable',
  failed: 'unreadable',
}
