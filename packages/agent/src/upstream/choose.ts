import { publicAlgorithms, typeOfBlob } from '@keytool/keygen'
import { type Identity, publicKeyOf } from '../agent.js'
import type { Source } from './source.js'

/** OpenSSH's clients take no more than 2048 keys in all, and no agent's message is longer than 256 KiB. */
const MAX_KEYS = 256
const MAX_COMMENT = 1024
const MAX_BYTES = 64 * 1024

/** The keys of a list that may be shown to a client. Throws `damaged` for a list that no agent of good will makes. */
export function choose(keys: readonly Identity[], agent: Source): readonly Identity[] {
  const bytes = keys.reduce((sum, { blob, comment }) => sum + blob.length + comment.length, 0)
  if (keys.length > MAX_KEYS) throw agent.failure('damaged', `lists ${keys.length} keys`, `${MAX_KEYS} are allowed`)
  if (bytes > MAX_BYTES) throw agent.failure('damaged', `lists ${bytes} bytes of keys`, `${MAX_BYTES} are allowed`)
  if (keys.some(({ comment }) => comment.length > MAX_COMMENT)) {
    throw agent.failure('damaged', `has a comment of more than ${MAX_COMMENT} characters`)
  }
  const readable = keys.filter(isReadable)
  const lost = keys.length - readable.length
  agent.tell(
    lost > 0 ? `the agent behind, at ${agent.path}, has keys that can't be read: ${lost} of ${keys.length}` : undefined,
  )
  const seen = new Set<string>()
  return readable.filter(({ blob }) => {
    const name = blob.toString('latin1')
    return !seen.has(name) && seen.add(name) && !agent.holds(blob)
  })
}

/** Types we don't know are passed on; OpenSSH's clients skip those. They give up on a list with a damaged key in it. */
function isReadable(identity: Identity): boolean {
  const type = typeOfBlob(identity.blob)
  if (type === undefined || !TYPE.test(type)) return false
  return publicKeyOf(identity) !== undefined || !publicAlgorithms.some(({ name }) => name === type)
}

/** RFC 4251 section 6: printable, without spaces or commas. */
const TYPE = /^[!-+\--~]+$/
