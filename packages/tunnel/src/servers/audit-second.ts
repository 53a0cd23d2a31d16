import type { Connection } from '../connection/connection.js'
import { runScript } from './shell-run.js'

/** The other file that sshd reads unless its settings say otherwise; nobody writes it any more, and many forget it. */
export const SECOND_FILE = '~/.ssh/authorized_keys2'

/** Answers `file` and the file as it stands, or `none`. See `scripts.ts`. */
export const secondScript: string = `exec sh -c '${[
  'IFS= read -r m && IFS= read -r k || exit 90; cd || exit 91; f=.ssh/authorized_keys2; printf "%s begin\\n" "$m"',
  'if [ -f "$f" ] && [ -r "$f" ] && [ $(wc -c < "$f") -le 1048576 ]; then printf "file\\n"; cat "$f"',
  'elif [ -e "$f" ]; then printf unreadable; else printf none; fi; printf "\\n%s end\\n" "$m"',
].join('; ')}'`

/**
 * What stands in {@link SECOND_FILE}: `undefined` where there is none, `unreadable` where there is one that can't be read.
 * @throws KeytoolError as `runScript`
 */
export async function readSecondFile(connection: Pick<Connection, 'exec'>): Promise<Buffer | 'unreadable' | undefined> {
  const { word, body } = await runScript({ connection }, secondScript)
  if (word === 'file') return body
  return word === 'unreadable' ? 'unreadable' : undefined
}
