import { stat } from 'node:fs/promises'
import { KeytoolError } from '@keytool/keygen'

const WRITE_BY_OTHERS = 0o022

/**
 * That nobody else can have written what is there: a journal says which lines go back to servers, and by which way. Nothing
 * there is well, too. A link is followed: what it leads to has to be the user's own.
 * @throws KeytoolError `refused`
 */
export async function checkOwn(path: string): Promise<void> {
  const user = process.getuid?.()
  const stats = await stat(path).catch(() => undefined)
  if (user === undefined || !stats) return
  if (stats.uid !== user && stats.uid !== 0) throw refusal(path, 'it belongs to another user')
  if ((stats.mode & WRITE_BY_OTHERS) === 0) return
  const shown = (stats.mode & 0o7777).toString(8).padStart(4, '0')
  throw refusal(path, `others may write it (${shown})`, `chmod go-w ${path}`)
}

function refusal(path: string, reason: string, hint?: string): KeytoolError {
  return new KeytoolError('refused', `${path} is not followed: ${reason}`, hint === undefined ? {} : { hint })
}
