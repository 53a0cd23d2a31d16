import { isKeytoolError, Reader, Writer } from '@keytool/keygen'
import { fingerprintOf, type Identity } from '../agent.js'
import { readPlain } from '../platform/read.js'
import type { KeyRule } from '../policy/policy.js'
import { constraints } from '../protocol/constraints.js'
import { SealedKey } from '../sealed.js'
import type { Terms } from '../terms.js'
import type { Held, Incoming } from './held.js'
import type { OpenSurvivor, SealedSurvivor, Survived } from './survivors.js'

/** Far above any key's file. In bytes. */
const MAX_KEY = 256 * 1024
/** A lifetime is kept as a uint32. In seconds. */
const MAX_SECONDS = 0xffff_ffff
const CRASHED = 'the agent before this one was killed or crashed'

/** A key as it is kept for an agent that comes after a crash. */
export function toSurvivor(held: Held, left: number | undefined, now: number): SealedSurvivor | OpenSurvivor {
  const { terms, sealed } = held
  const name = nameSurvivor(held, left, now)
  if (!sealed) return name
  const writer = new Writer()
  constraints.write(writer, terms)
  return { ...name, file: sealed.bytes, terms: writer.done() }
}

/** A key that does not come back: of a locked agent none does, or killing it would unlock it. */
export function nameSurvivor({ identity }: Held, left: number | undefined, now: number): OpenSurvivor {
  return {
    fingerprint: fingerprintOf(identity),
    comment: identity.comment,
    ...(left !== undefined && { expires: now + left * 1000 }),
  }
}

/**
 * The keys that come back; what is to be said of them once, and what stays true of the others.
 */
export async function revive(
  { sealed, lost, trouble }: Survived,
  now: number,
): Promise<{
  readonly keys: readonly Incoming[]
  readonly news: readonly string[]
  readonly troubles: readonly string[]
}> {
  const keys: Incoming[] = []
  const gone: OpenSurvivor[] = [...lost]
  for (const survivor of sealed) {
    const key = await reviveOne(survivor, now).catch(() => undefined)
    if (key) keys.push(key)
    else gone.push(survivor)
  }
  const names = gone.map(({ comment, fingerprint }) => comment || fingerprint).join(', ')
  return {
    keys,
    news: keys.length > 0 ? [`${CRASHED}; keys held again, sealed: ${keys.length}`] : [],
    troubles: [
      ...(trouble === undefined ? [] : [trouble]),
      ...(gone.length > 0 ? [`${CRASHED}; keys that are lost: ${names}`] : []),
    ],
  }
}

async function reviveOne({ file, comment, terms, expires }: SealedSurvivor, now: number): Promise<Incoming> {
  const sealed = await SealedKey.read(file, { comment })
  const held = constraints.read(new Reader(terms))
  const left = expires === undefined ? undefined : Math.min(MAX_SECONDS, Math.max(1, Math.ceil((expires - now) / 1000)))
  const identity: Identity = { blob: sealed.publicKey.blob, comment }
  return { identity, terms: { ...held, ...(left !== undefined && { lifetime: left }) }, origin: 'file', sealed }
}

/** A key of the policy that is held from the agent's start on. */
export async function readLoginKey(rule: KeyRule, file: string): Promise<Incoming> {
  const beside = await readComment(`${file}.pub`)
  const sealed = await SealedKey.read(await readPlain(file, MAX_KEY), { comment: beside ?? file })
  const terms: Terms = {
    ...(rule.lifetime !== undefined && { lifetime: rule.lifetime }),
    ...(rule.idle !== undefined && { idle: rule.idle }),
    ...(rule.confirm && { confirm: true }),
  }
  return { identity: sealed.identity, terms, origin: 'file', sealed, file }
}

/** What the public half calls the key: OpenSSH's private files hide it. */
async function readComment(path: string): Promise<string | undefined> {
  try {
    const [line = ''] = (await readPlain(path, MAX_KEY)).toString('utf8').split('\n')
    return line.trim().split(/\s+/).slice(2).join(' ') || undefined
  } catch (error) {
    if (isKeytoolError(error)) return undefined
    throw error
  }
}
