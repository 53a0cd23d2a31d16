import { showForeign } from '@keytool/keygen'
import type { InstallResult, Verified } from '@keytool/tunnel'

/** What was done: `added to ~/.ssh/authorized_keys line 3`. */
export function describeResult({ state, path, line }: InstallResult): string {
  const where = `${showForeign(path)}${line === undefined ? '' : ` line ${line}`}`
  return `${words[state]} ${where}`
}

const words: Readonly<Record<InstallResult['state'], string>> = {
  added: 'added to',
  present: 'was there already,',
  'would-add': 'would be added to',
}

/** How it was proved, and by which line the server let the key in, where it says so. */
export function describeProof({ admittedBy }: Verified, result: InstallResult): string {
  const proved = 'verified with this key alone'
  if (!admittedBy) return proved
  if (isSameLine(admittedBy, result)) return `${proved} by that line`
  // Another file, or another line of this one: whoever takes ours away has not shut the key out.
  return `${proved} by ${showForeign(admittedBy.path)} line ${admittedBy.line}`
}

/** A server that wants a key and a password of everybody lets nobody in by a key alone: that it was right is all there is. */
export const halfProof = 'verified: the server takes this key, and wants more besides'

/** The server has the whole path, the file the one from the home folder on. */
function isSameLine({ path, line }: NonNullable<Verified['admittedBy']>, result: InstallResult): boolean {
  return line === result.line && path.endsWith(result.path.replace(/^~/, ''))
}
