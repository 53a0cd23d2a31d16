import { readdir, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'

/**
 * Removes what a writer has left beside a file that was ended before its rename: with a key without a passphrase that would be
 * the key. Only for files of which nobody else writes one now.
 */
export async function sweepBeside(path: string): Promise<void> {
  const folder = dirname(path)
  const start = `.${basename(path)}.`
  for (const name of await readdir(folder).catch(() => [])) {
    const isLeft = name.startsWith(start) && /^[0-9a-f]{12}\.tmp$/.test(name.slice(start.length))
    if (isLeft) await rm(join(folder, name), { force: true })
  }
}
