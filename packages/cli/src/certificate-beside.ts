import { readPlain } from '@keytool/agent/platform'
import { type PublicKey, readPublicLines } from '@keytool/keygen'
import type { Context } from './context.js'

/** The certificate in `FILE-cert.pub`, as ssh-add takes it: one of this very key. One of another key is said and left out. */
export async function certificateBeside(
  path: string,
  key: PublicKey,
  { say }: Context,
): Promise<PublicKey | undefined> {
  const beside = `${path}-cert.pub`
  const bytes = await readPlain(beside).catch(() => undefined)
  if (!bytes) return undefined
  try {
    const [found] = readPublicLines(bytes)
    if (found?.algorithm.certifies && found.plain.equals(key.plain)) return found
    say.note(`${say.path(beside)} is left out: it is no certificate of this key`)
  } catch {
    say.note(`${say.path(beside)} is left out: it can't be read`)
  }
  return undefined
}
