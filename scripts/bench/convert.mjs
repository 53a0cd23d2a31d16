// Turning PuTTY's files into OpenSSH's: one key, as somebody does at a prompt, and a thousand.
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { measureMany } from './convert-many.mjs'
import { measureOne } from './convert-one.mjs'

export const title = 'PuTTY version 3 to OpenSSH, Ed25519: library, keytool convert, puttygen'

export async function measure(world) {
  const passphrase = Buffer.from('only for this bench')
  const secret = join(world.home, 'convert-passphrase')
  await writeFile(secret, passphrase, { mode: 0o600 })
  return [...(await measureOne(world, secret)), ...(await measureMany(world, passphrase, secret))]
}
