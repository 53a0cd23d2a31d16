import { isKeytoolError } from '../src/error.js'
import type { PrivateKey } from '../src/key.js'

const REFUSALS: ReadonlySet<string> = new Set(['damaged', 'secret-wrong', 'unsupported'])
/** So many readers wait in the threadpool at once. */
const AT_ONCE = 64

/**
 * What was not refused properly when each bit of a file was turned, one at a time: nothing, if all is well.
 * @param harmless Whether what was read all the same is no harm.
 */
export async function flipEveryBit(
  bytes: Buffer,
  read: (bytes: Buffer) => Promise<PrivateKey>,
  harmless: (key: PrivateKey) => boolean = () => false,
): Promise<string[]> {
  const unseen: string[] = []
  const flip = async (bit: number): Promise<void> => {
    const flipped = Buffer.from(bytes)
    flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7))
    const outcome = await read(flipped).then(
      key => (harmless(key) ? undefined : 'accepted'),
      error => (isKeytoolError(error) && REFUSALS.has(error.code) ? undefined : String(error)),
    )
    if (outcome !== undefined) unseen.push(`bit ${bit & 7} of byte ${bit >> 3}: ${outcome}`)
  }
  for (let start = 0; start < bytes.length * 8; start += AT_ONCE) {
    const count = Math.min(AT_ONCE, bytes.length * 8 - start)
    await Promise.all(Array.from({ length: count }, (_, i) => flip(start + i)))
  }
  return unseen
}
