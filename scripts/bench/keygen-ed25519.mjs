// A thousand Ed25519 keys: in memory, and as files that are safe on disk.
import { closeSync, openSync, writeSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { formatOfOption, generate, writePublicLine } from '@keytool/keygen'
import { interleave, ratio, spread } from './measure.mjs'

const ROUNDS = 3
const KEYS = 1000
/** ssh-keygen makes one key a call: so many calls are timed each round, and multiplied. */
const CALLS = 20
/** About the size of a private key's file, in bytes. */
const SIZE = 400

export async function measureEd25519(world) {
  // Nothing is removed before the end: ext4 is slow to make files where many were removed just before.
  let folders = 0
  const freshFolder = async () => {
    const folder = join(world.home, `fleet-${folders++}`)
    await mkdir(folder)
    return folder
  }
  const took = await interleave(ROUNDS, {
    library: inMemory,
    ours: async () => {
      const pattern = join(await freshFolder(), 'k-%04d')
      const args = ['gen', '--count', String(KEYS), '-t', 'ed25519', '--no-passphrase', '-f', pattern]
      return world.time(...world.keytool(args))
    },
    openssh: async () => {
      const folder = await freshFolder()
      let total = 0
      for (let i = 0; i < CALLS; i++) {
        total += world.time('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', join(folder, `k-${i}`)])
      }
      return (total / CALLS) * KEYS
    },
    files: async () => filesAlone(await freshFolder()),
  })
  const peer = `${spread(took.openssh, ' ms')}, from ${CALLS} calls`
  return [
    {
      what: `${KEYS} Ed25519 keys and their public lines, in memory`,
      ours: spread(took.library, ' ms'),
      peer,
      measured: `${ratio(took.openssh.median, took.library.median)} faster`,
      wanted: '>= 20x',
    },
    {
      what: `${KEYS} Ed25519 keys as files: gen --count ${KEYS}`,
      ours: spread(took.ours, ' ms'),
      peer,
      measured: `${ratio(took.openssh.median, took.ours.median)} faster`,
      wanted: '>= 20x',
      note: `ours are synced to the disk, ssh-keygen's are not; ${2 * KEYS} files that are not, alone: ${spread(took.files, ' ms')}`,
    },
  ]
}

/** All at once: node makes some in its other threads, while the ready ones are written. */
async function inMemory() {
  const openssh = formatOfOption('openssh')
  const make = async number => {
    const key = await generate('ed25519', { comment: `k-${number}` })
    return (await openssh.write(key)).length + writePublicLine(key.publicKey).length
  }
  const began = performance.now()
  const sizes = await Promise.all(Array.from({ length: KEYS }, (_, number) => make(number)))
  const took = performance.now() - began
  if (sizes.some(size => size < SIZE)) throw new Error('a key came out too short')
  return took
}

/** What this file system takes for as many files, by itself. */
function filesAlone(folder) {
  const bytes = Buffer.alloc(SIZE, 'k')
  const began = performance.now()
  for (let i = 0; i < 2 * KEYS; i++) {
    const file = openSync(join(folder, `f-${i}`), 'wx', 0o600)
    writeSync(file, bytes)
    closeSync(file)
  }
  return performance.now() - began
}
