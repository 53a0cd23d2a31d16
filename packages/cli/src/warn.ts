import { findWeaknesses, type PublicKey } from '@keytool/keygen'
import type { Context } from './context.js'

/**
 * Says on stderr what is wrong with a key that is being taken in. Remarks that concern no use of it here are left to
 * `inspect`.
 * @param putty whether PuTTY may have used it, whose own trouble then concerns the key
 */
export async function warnOf(path: string, key: PublicKey, { say }: Context, putty = false): Promise<void> {
  for (const { code, severity, text, hint, reference } of await findWeaknesses(key)) {
    const concerns = severity !== 'note' || (code === 'p521-putty' && putty)
    const more = [hint, reference].filter(Boolean).join('; ')
    if (concerns) say.note(`${say.path(path)}: ${severity}: ${text}${more && ` (${more})`}`)
  }
}
