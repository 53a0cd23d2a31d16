import { readFile } from 'node:fs/promises'
import { join } from 'node:path'

/** In bytes; what is larger is not read. */
const LARGEST_FILE = 1024 * 1024

/**
 * The public key blobs of a home's authorized_keys, as the file is now. A line with options is left out: this server
 * enforces none, and a key must not gain what its line takes away.
 */
export async function readAuthorizedKeys(home: string): Promise<Buffer[]> {
  const bytes = await readFile(join(home, '.ssh', 'authorized_keys')).catch(() => Buffer.alloc(0))
  if (bytes.length > LARGEST_FILE) return []
  return bytes.toString('utf8').split('\n').flatMap(readLine)
}

/** sshd(8): `type base64 comment`. The blob begins with its type again, and both must agree. */
function readLine(line: string): Buffer[] {
  const [, type, base64 = ''] = /^\s*([a-z][\w@.-]*)[ \t]+([A-Za-z0-9+/]+=*)(?:\s|$)/.exec(line) ?? []
  if (type === undefined) return []
  const blob = Buffer.from(base64, 'base64')
  const length = blob.length < 4 ? -1 : blob.readUInt32BE()
  return blob.subarray(4, 4 + length).toString('latin1') === type ? [blob] : []
}
