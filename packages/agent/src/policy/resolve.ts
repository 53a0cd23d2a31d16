import { detectPrivate, fingerprint, KeytoolError, type PublicKey, readPublicLines } from '@keytool/keygen'
import { readPlain } from '../platform/read.js'
import { checkOnce, inFile } from './parse.js'
import type { KeyRule, Policy } from './policy.js'

/** Far above any key's file. In bytes. */
const MAX_KEY = 256 * 1024

/** A policy whose rules also know the keys that others add: ssh-add says nothing of a file. */
export interface Resolved {
  readonly policy: Policy
  /** `not-found`, one for each rule whose file does not show whose key it is: that rule holds for no key until it does. */
  readonly troubles: readonly KeytoolError[]
}

/**
 * Fills in the fingerprints of rules that name a file only, by the `.pub` beside it or by the file's own public half.
 * Nothing is decrypted.
 * @param path the policy's own, for errors
 * @throws KeytoolError `damaged` when two rules turn out to be about one key
 */
export async function resolvePolicy(policy: Policy, path: string): Promise<Resolved> {
  const keys = await Promise.all(policy.keys.map(resolveRule))
  try {
    checkOnce(keys)
  } catch (error) {
    throw inFile(error, path)
  }
  const troubles = keys.flatMap((rule, index) => (rule.fingerprint === undefined ? [untold(rule, index, path)] : []))
  return { policy: { ...policy, keys }, troubles }
}

async function resolveRule(rule: KeyRule): Promise<KeyRule> {
  const { file } = rule
  if (file === undefined || rule.fingerprint !== undefined) return rule
  const key = (await readInside(file)) ?? (await readBeside(file))
  return key ? { ...rule, fingerprint: fingerprint(key) } : rule
}

/** First of all: what stands beside a key may be another's. */
async function readInside(file: string): Promise<PublicKey | undefined> {
  try {
    const bytes = await readPlain(file, MAX_KEY)
    return (await detectPrivate(bytes).inspect(bytes)).public
  } catch {
    return undefined
  }
}

async function readBeside(file: string): Promise<PublicKey | undefined> {
  try {
    return readPublicLines(await readPlain(`${file}.pub`, MAX_KEY))[0]
  } catch {
    return undefined
  }
}

function untold({ file }: KeyRule, index: number, path: string): KeytoolError {
  return new KeytoolError('not-found', `${path}: keys[${index}]: nothing shows which key ${file} is`, {
    reason: 'the rule holds for the key when keytool adds it from that file, and not when ssh-add does',
    hint: 'put its .pub beside it, or give the rule its "fingerprint"',
  })
}
