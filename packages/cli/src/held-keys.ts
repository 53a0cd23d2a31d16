import { type AgentClient, type Identity, type KeyReport, publicKeyOf } from '@keytool/agent'
import { fingerprint, KeytoolError } from '@keytool/keygen'
import { publicHalf } from './files.js'

/** How an agent holds a key: only our own tells. */
export type ReportsOf = (identity: Identity) => KeyReport | undefined

/**
 * The keys of the agent that a word means: a fingerprint all that have it, a key file the key and its certificates, a
 * certificate's file that certificate.
 * @throws KeytoolError `not-found` where the agent holds none
 */
async function findHeld(word: string, agent: AgentClient): Promise<readonly Identity[]> {
  const isWanted = await matcher(word)
  const found = (await agent.list()).filter(isWanted)
  if (found.length > 0) return found
  throw new KeytoolError('not-found', `the agent does not hold ${word}`)
}

/**
 * The same, of those that the agent holds itself.
 * @throws KeytoolError `not-found`; `refused` for a key of the agent behind it, which is not for this one to change
 */
export async function findOwn(word: string, agent: AgentClient): Promise<readonly Identity[]> {
  const found = await findHeld(word, agent)
  const reportOf = await readReports(agent)
  const own = found.filter(identity => reportOf(identity)?.origin !== 'upstream')
  if (own.length > 0) return own
  throw new KeytoolError('refused', `${word} is a key of the agent behind this one`, {
    reason: 'nothing was changed',
    hint: 'ask the program that holds it',
  })
}

/** Our own agent says whether it is locked; of another program's nobody knows. */
export async function isLocked(agent: AgentClient): Promise<boolean | undefined> {
  return (await agent.supports('status@keytool')) ? (await agent.status()).locked : undefined
}

/**
 * A locked agent does nothing that is asked of it, and nobody is to type a passphrase in vain.
 * @throws KeytoolError `refused`
 */
export async function refuseLocked(agent: AgentClient): Promise<void> {
  if (await isLocked(agent)) throw new KeytoolError('refused', 'the agent is locked', { hint: 'keytool unlock' })
}

export async function readReports(agent: AgentClient): Promise<ReportsOf> {
  if (!(await agent.supports('list@keytool'))) return () => undefined
  const byBlob = new Map((await agent.reports()).map(report => [report.blob, report]))
  return ({ blob }) => byBlob.get(blob.toString('base64'))
}

/** A key by its fingerprint, which its certificates share. */
export function nameHeld(identity: Identity): string {
  const key = publicKeyOf(identity)
  return `${fingerprint(key ?? identity)}${key?.algorithm.certifies ? ' (certificate)' : ''}`
}

async function matcher(word: string): Promise<(identity: Identity) => boolean> {
  const hash = word.startsWith('SHA256:') ? 'sha256' : word.startsWith('MD5:') ? 'md5' : undefined
  if (hash) return identity => fingerprint(publicKeyOf(identity) ?? identity, hash) === word
  const key = await publicHalf(word)
  if (key.algorithm.certifies) return identity => identity.blob.equals(key.blob)
  return identity => identity.blob.equals(key.blob) || publicKeyOf(identity)?.plain.equals(key) === true
}
