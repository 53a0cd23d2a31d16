// The keys that the agents hold.
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { formatOfOption, generate } from '@keytool/keygen'

const kinds = {
  ed25519: { options: ['-t', 'ed25519'], algorithm: 'ssh-ed25519', flags: 0 },
  'ecdsa-256': { options: ['-t', 'ecdsa', '-b', '256'], algorithm: 'ecdsa-sha2-nistp256', flags: 0 },
  // What ssh asks for.
  'rsa-3072': { options: ['-t', 'rsa', '-b', '3072'], algorithm: 'rsa-sha2-512', flags: 4 },
  'rsa-4096': { options: ['-t', 'rsa', '-b', '4096'], algorithm: 'rsa-sha2-512', flags: 4 },
}

/** As many as a list is measured with. */
const KEYS = 100

/**
 * @param {readonly string[]} names of {@link kinds}: a key that signs for each
 * @returns {Promise<{ requests: Record<string, import('./agent-frames.mjs').Request>, signing: string[], more: string[] }>}
 *   files of the keys that sign, and of those that fill up to {@link KEYS}
 */
export async function makeKeys(world, names) {
  const requests = { list: { number: 11 } }
  const signing = []
  for (const name of names) {
    const { options, algorithm, flags } = kinds[name]
    const file = join(world.home, `agent-${name}`)
    world.run('ssh-keygen', ['-q', ...options, '-N', '', '-C', name, '-f', file])
    const key = (await readFile(`${file}.pub`, 'utf8')).split(' ')[1]
    requests[name] = { number: 13, key, algorithm, flags }
    signing.push(file)
  }
  const more = []
  for (let i = signing.length; i < KEYS; i++) {
    const file = join(world.home, `agent-more-${i}`)
    const key = await generate('ed25519', { comment: `hana@host-${i}` })
    await writeFile(file, await formatOfOption('openssh').write(key), { mode: 0o600 })
    key.wipe()
    more.push(file)
  }
  return { requests, signing, more }
}
