import type { AgentClient } from '@keytool/agent'
import { fingerprint, isKeytoolError, type PublicKey, type Signer, showForeign } from '@keytool/keygen'
import {
  type Clues,
  type Connection,
  type Diagnosis,
  diagnose,
  lookAtClosed,
  lookForKeys,
  type Observed,
  openKeyFile,
} from '@keytool/tunnel'
import { canAskSecret } from '../../ask.js'
import type { Context } from '../../context.js'
import { heedBatchMode } from '../../log-in-at.js'
import { passwordSource } from '../../password.js'
import { allSigners } from '../../signers.js'
import type { Way } from '../../way.js'
import { type Attempt, attempt } from './attempt.js'
import { fileOfKey } from './keys.js'
import type { DoctorOptions } from './options.js'
import { cluesOf, type Stop } from './stop.js'

/** Of the keys that were refused, so many are offered again: sshd says why, once somebody is in. And so many others. */
const MAX_AGAIN = 2
const MAX_OTHERS = 2

/** A login that failed, and all that is needed to try another. */
export interface Refused {
  readonly stop: Stop
  readonly way: Way
  readonly by: Observed['by']
  readonly options: DoctorOptions
  /** The key's file, where it was chosen. */
  readonly chosen: string | undefined
  /** What was offered. */
  readonly offered: (agent: AgentClient | undefined) => Promise<readonly Signer[]>
  readonly evidence: readonly string[]
}

/**
 * Why the server does not take the keys: looked at from inside, where another key or the password leads there. sshd hangs up
 * on whom it has refused too often, and remembers it: there is this one more login, and no other.
 */
export async function lookInside(refused: Refused, first: Attempt, context: Context): Promise<Diagnosis> {
  const { stop, way, by, options, chosen, evidence } = refused
  const { destination } = stop
  const keys = first.seen.keys ?? []
  const clues = cluesOf(stop, chosen ?? (keys[0] && (await fileOfKey(keys[0].key, context))), context)
  const plain = () =>
    diagnose('key-refused', clues, [
      ...evidence,
      'nobody has looked on the server: the password would lead there (--password-file)',
    ])
  const asking = heedBatchMode(destination, context)
  const mayAsk =
    destination.settings.numberOfPasswordPrompts !== 0 && (options.passwordFile !== undefined || canAskSecret(asking))
  const why = () => 'the key is refused; with the password it can be seen from inside why'
  let asked = false
  const source = passwordSource(options.passwordFile, asking, why)
  const second = await attempt(
    stop,
    way,
    by,
    {
      keys: async agent => {
        const again = (await refused.offered(agent)).slice(0, MAX_AGAIN)
        const others = (await allSigners(agent, options, context))
          .filter(({ publicKey }) => !keys.some(({ key }) => key.equals(publicKey)))
          .slice(0, MAX_OTHERS)
        return [...again, ...others]
      },
      ...(mayAsk && {
        askPassword: question => {
          asked = true
          return source(question)
        },
      }),
      ...(options.hostKey !== undefined && { hostKey: options.hostKey }),
    },
    context,
  )
  const { connection, seen } = second
  if (!connection) {
    if (!asked || seen.error?.code !== 'secret-wrong') return plain()
    return diagnose('account-refused', clues, evidence)
  }
  try {
    const other = seen.keys?.find(({ signed, key }) => signed && !keys.some(each => each.key.equals(key)))
    if (other && chosen === undefined) {
      const file = await fileOfKey(other.key, context)
      return diagnose('key-not-offered', cluesOf(stop, file, context), [
        ...evidence,
        `${fingerprint(other.key)} gets in, and the settings leave it out (IdentityFile, IdentitiesOnly)`,
      ])
    }
    const how = other ? `another key, ${fingerprint(other.key)}` : connection.admission.method
    return await look(
      connection,
      keys.map(({ key }) => key),
      clues,
      [...evidence, `looked at by ${how}`],
    )
  } finally {
    await connection.close()
  }
}

async function look(
  connection: Connection,
  keys: readonly PublicKey[],
  clues: Clues,
  evidence: readonly string[],
): Promise<Diagnosis> {
  const remarks = () => connection.remarks.map(remark => showForeign(remark))
  try {
    const found = await lookForKeys(connection, await openKeyFile(connection), keys, clues)
    const more = remarks().filter(remark => !found.evidence.some(text => text.includes(remark)))
    return { ...found, evidence: [...new Set([...found.evidence, ...more.map(tellRemark), ...evidence])] }
  } catch (error) {
    if (!isKeytoolError(error) || error.code === 'cancelled') throw error
    const closed = error.code === 'failed' ? await lookAtClosed(connection, clues) : undefined
    if (closed) return { ...closed, evidence: [...closed.evidence, ...evidence, ...remarks().map(tellRemark)] }
    if (error.code === 'failed' || error.code === 'damaged') {
      // What stands in our way there stands in sshd's, too.
      const own = { text: error.message, advice: 'look at it there', remedy: 'ls -ld ~ ~/.ssh ~/.ssh/authorized_keys' }
      return diagnose('authorized-keys-unreadable', clues, [...evidence, ...remarks().map(tellRemark)], own)
    }
    const why = `it can't be seen from inside why: ${error.message}`
    return diagnose('key-refused', clues, [...evidence, ...remarks().map(tellRemark), why])
  }
}

/** @param remark the server's, escaped */
function tellRemark(remark: string): string {
  return `it says "${remark}"`
}

/** Of too many keys the one that is right, if those that were not reached the first time have it. */
export async function findRightKey(
  { stop, way, by, options, chosen, offered, evidence }: Refused,
  context: Context,
): Promise<Diagnosis> {
  const { connection, seen } = await attempt(
    stop,
    way,
    by,
    {
      keys: async agent => [...(await offered(agent))].reverse(),
      ...(options.hostKey !== undefined && { hostKey: options.hostKey }),
    },
    context,
  )
  await connection?.close()
  const right = seen.keys?.find(({ taken }) => taken)
  const file = right && (await fileOfKey(right.key, context))
  const clues = cluesOf(stop, file ?? chosen, context)
  return diagnose('too-many-keys', clues, [...evidence, ...(right ? [`${fingerprint(right.key)} would get in`] : [])])
}
