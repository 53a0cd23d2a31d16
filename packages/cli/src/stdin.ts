import { KeytoolError } from '@keytool/keygen'
import type { Context } from './context.js'

/**
 * All of standard input.
 * @param cap in bytes
 * @param what it should be, for the error: `a list of hosts`
 * @throws KeytoolError `damaged` when it is longer
 */
export async function readStdin({ stdin }: Context, cap: number, what: string): Promise<Buffer> {
  const parts: Buffer[] = []
  let size = 0
  for await (const part of stdin) {
    const bytes = Buffer.isBuffer(part) ? part : Buffer.from(String(part))
    size += bytes.length
    if (size > cap) throw new KeytoolError('damaged', `standard input is too long to be ${what}`)
    parts.push(bytes)
  }
  return Buffer.concat(parts)
}
