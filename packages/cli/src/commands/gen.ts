import { resolve } from 'node:path'
import { writeTogether } from '@keytool/agent/platform'
import {
  fingerprintLine,
  generate,
  isKeytoolError,
  KeytoolError,
  type PrivateKey,
  showForeign,
  writePublicLine,
} from '@keytool/keygen'
import type { Context, Run } from '../context.js'
import { keyFacts } from '../key-facts.js'
import { loadAgentLink, loadRemembered } from '../online-link.js'
import { parse } from '../options.js'
import { showProgress } from '../progress.js'
import { describeRated } from '../protection.js'
import { columns } from '../text.js'
import { cautions } from './gen/kinds.js'
import { checkRemember, type Options, usage } from './gen/options.js'
import { decide, type Wish } from './gen/wish.js'

/** How many slow keys are under way together: node's threadpool works on four at a time, on all cores. */
const AT_ONCE = 8
/** Quick keys go to the disk in batches, which costs a fraction of going there one by one. */
const BATCH = 64
const BATCHES_AT_ONCE = 2
/** More keys than this are summed up rather than shown one by one. */
const SHOWN = 5

/** A key that was made and lies on disk. */
interface Made {
  readonly path: string
  readonly key: PrivateKey
  readonly bytes: Buffer
}

export const run: Run = async (args, context) => {
  const parsed = parse<Options>(usage, args, context)
  if (!parsed) return 0
  const { options } = parsed
  if (options.remember) checkRemember(options)
  // An agent that is missing, or a keychain that is locked, is said before anybody answers a question.
  const agent = options.add ? await (await loadAgentLink()).openAgent(context) : undefined
  const memory = options.remember ? await (await loadRemembered()).openMemory(context) : undefined
  let passphrase: Uint8Array | undefined
  try {
    const wish = await decide(options, context)
    passphrase = wish.writing.passphrase
    for (const { path } of wish.keys) await memory?.check(path)
    const made = await makeAll(wish, context)
    const [first] = made
    let failure: unknown
    let remembered: boolean | undefined
    if (options.remember) {
      remembered = false
      if (memory && first && passphrase) {
        const kept = memory.keep({ path: first.path, key: first.key.publicKey, passphrase })
        // The key stands, and is told of first.
        remembered = await kept.catch(error => {
          failure = error
          return false
        })
      }
    }
    await tell(wish, made, { agent: agent?.path, remembered }, context)
    if (failure) throw failure
    if (agent) for (const { path, key } of made) await (memory ? memory.add(path, key, agent) : agent.add(key))
    if (agent) context.say.done(`loaded into the agent at ${context.say.path(agent.path)}`)
    if (first && made.length === 1) {
      const caution = cautions[wish.plan.algorithm.type]
      if (caution) context.say.note(caution)
      context.say.line(`Next: ${context.name} install-pubkey -i ${context.say.word(first.path)} USER@HOST`)
    }
    return 0
  } finally {
    passphrase?.fill(0)
    agent?.close()
  }
}

/** Makes and writes every key of the wish, some at a time, in the order of their names. */
async function makeAll(wish: Wish, context: Context): Promise<Made[]> {
  const { plan, keys } = wish
  const size = plan.bits === undefined ? plan.algorithm.type : `${plan.algorithm.type} ${plan.bits}`
  const progress = showProgress(keys.length === 1 ? `making the ${size} key` : `making ${keys.length} keys`, context)
  const isQuick = !plan.algorithm.slow && !wish.writing.passphrase
  const step = isQuick ? BATCH : 1
  const made: Made[] = []
  let next = 0
  let done = 0
  const work = async () => {
    for (let from = next; from < keys.length; from = next) {
      next += step
      const some = await makeBatch(wish, keys.slice(from, from + step)).catch(error => {
        // After a failure no other key is begun.
        next = keys.length
        throw error
      })
      for (const [i, each] of some.entries()) made[from + i] = each
      done += some.length
      progress.at(done / keys.length)
    }
  }
  const workers = Array.from({ length: isQuick ? BATCHES_AT_ONCE : AT_ONCE }, work)
  const failed = (await Promise.allSettled(workers)).find(each => each.status === 'rejected')
  progress.end()
  if (failed) throw partly(failed.reason, done, keys.length)
  return made
}

/** Keys that were made before a failure stand. */
function partly(error: unknown, made: number, wanted: number): unknown {
  if (!isKeytoolError(error) || wanted === 1) return error
  const { code, message, hint } = error
  const reason = made === 0 ? 'none of the keys was made' : `${made} of ${wanted} keys were made before that, and stand`
  return new KeytoolError(code, message, { reason, cause: error, ...(hint !== undefined && { hint }) })
}

async function makeBatch(wish: Wish, keys: Wish['keys']): Promise<Made[]> {
  const { plan, format, force, writing } = wish
  const made = await Promise.all(
    keys.map(async ({ path, comment }) => {
      const key = await generate(plan.algorithm.type, { comment, ...(plan.bits !== undefined && { bits: plan.bits }) })
      return { path, key, bytes: await format.write(key, writing) }
    }),
  )
  // All files or none: a private key without its public half is a puzzle for whoever finds it.
  await writeTogether(
    made.flatMap(({ path, key, bytes }) => [
      { path, bytes, mode: 0o600, replace: force },
      { path: `${path}.pub`, bytes: Buffer.from(writePublicLine(key.publicKey)), mode: 0o644, replace: force },
    ]),
  )
  return made
}

async function tell(
  { format, writing }: Wish,
  made: readonly Made[],
  more: { readonly agent: string | undefined; readonly remembered: boolean | undefined },
  { say }: Context,
): Promise<void> {
  const [first, last] = [made[0], made.at(-1)]
  if (!first || !last) return
  // All are protected alike. What is open needs no second look, which would prove RSA's primes once more.
  const facts = writing.passphrase ? await format.inspect(first.bytes) : { encrypted: false }
  const protection = `${format.title}, ${describeRated(facts)}`
  for (const { path, key } of made.length > SHOWN ? [] : made) {
    const rows = columns([
      ['private key', say.path(path), protection],
      ['public key', say.path(`${path}.pub`), ''],
    ])
    for (const row of rows) say.done(row)
    say.line(`  ${showForeign(fingerprintLine(key.publicKey))}`)
  }
  if (made.length > SHOWN) {
    say.done(`${made.length} keys  ${say.path(first.path)} to ${say.path(last.path)}, each with its .pub`)
    say.line(`  ${protection}`)
  }
  if (more.remembered) say.done('the keychain has its passphrase; the agent holds the key at every start')
  if (!say.json) return
  const { agent, remembered } = more
  const all = made.map(({ path, key }) => ({
    path: resolve(path),
    publicPath: resolve(`${path}.pub`),
    format: format.name,
    encrypted: writing.passphrase !== undefined,
    ...keyFacts(key.publicKey),
    ...(agent !== undefined && { agent }),
    ...(remembered !== undefined && { remembered }),
  }))
  say.facts(all.length === 1 ? all[0] : all)
}
