import { fingerprint, KeytoolError, type PublicKey } from '@keytool/keygen'
import type { Context } from '../../context.js'
import { isThere, publicOrOpened, type Unlocking } from '../../files.js'
import { heldKeys } from '../audit/agents.js'
import type { Here, Suspect } from './trace.js'

const FINGERPRINT = /^(?:SHA256:)?([A-Za-z0-9+/]{43})$/

/**
 * What a word means: a key file, its public half or a certificate of it; or the SHA-256 fingerprint.
 * @throws KeytoolError `not-found` for what is neither; as `publicOrOpened`
 */
export async function readSuspect(word: string, unlocking: Unlocking, context: Context): Promise<Suspect> {
  const [, digest] = FINGERPRINT.exec(word) ?? []
  if (digest !== undefined && !(await isThere(word))) return { fingerprint: `SHA256:${digest}` }
  if (/^MD5:/i.test(word)) {
    throw new KeytoolError('usage', 'MD5 fingerprints can be made to fit another key', {
      hint: `name the key's file, or its SHA-256 fingerprint: ${context.name} fingerprint FILE`,
    })
  }
  const key = await publicOrOpened(word, unlocking, context)
  return { fingerprint: fingerprint(key), key: key.plain, path: word }
}

/** The same with the key itself, where a file or an agent here has it. */
export async function completeSuspect(suspect: Suspect, { files, agents }: Here): Promise<Suspect> {
  if (suspect.key) return suspect
  const inFiles = files.flatMap(({ what }) => what.public?.plain ?? [])
  const held: PublicKey[] = []
  for (const agent of agents) held.push(...(await heldKeys(agent)))
  const key = [...inFiles, ...held].find(each => fingerprint(each) === suspect.fingerprint)
  return { ...suspect, key }
}
