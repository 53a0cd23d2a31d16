// A thousand keys in one process, which puttygen has no way to do.
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { formatOfOption, generate, readPrivateKey } from '@keytool/keygen'
import { interleave, ratio, spread } from './measure.mjs'

const ROUNDS = 3
const KEYS = 1000
/** puttygen converts one key a call: so many calls are timed each round, and multiplied. */
const CALLS = 20
/** As cheap as PuTTY reads it: what is compared is all but the KDF. */
const CHEAP = { memory: 8, passes: 1, parallelism: 1 }

export async function measureMany(world, passphrase, secret) {
  const ppk = formatOfOption('ppk')
  const open = []
  const sealed = []
  for (let i = 0; i < KEYS; i++) {
    const key = await generate('ed25519', { comment: `k-${i}` })
    open.push(await ppk.write(key))
    sealed.push(await ppk.write(key, { passphrase, argon2: CHEAP }))
  }
  const none = join(world.home, 'many-none')
  await writeFile(none, '')
  for (let i = 0; i < CALLS; i++) {
    await writeFile(join(world.home, `open-${i}.ppk`), open[i], { mode: 0o600 })
    await writeFile(join(world.home, `sealed-${i}.ppk`), sealed[i], { mode: 0o600 })
  }
  let files = 0
  const puttygen = (kind, ...args) => {
    let total = 0
    for (let i = 0; i < CALLS; i++) {
      const out = join(world.home, `many-${files++}`)
      total += world.time('puttygen', [
        join(world.home, `${kind}-${i}.ppk`),
        '-O',
        'private-openssh-new',
        '-o',
        out,
        ...args,
      ])
    }
    return (total / CALLS) * KEYS
  }
  const took = await interleave(ROUNDS, {
    open: () => convertAll(open, {}),
    openPeer: () => puttygen('open'),
    sealed: () => convertAll(sealed, { passphrase }),
    sealedPeer: () => puttygen('sealed', '--old-passphrase', secret, '--new-passphrase', none),
  })
  const row = (what, ours, peer) => ({
    what,
    ours: spread(ours, ' ms'),
    peer: `${spread(peer, ' ms')}, from ${CALLS} calls`,
    measured: `${ratio(peer.median, ours.median)} faster`,
  })
  return [
    row(`${KEYS} keys by the library, not encrypted`, took.open, took.openPeer),
    row(`${KEYS} keys by the library, encrypted with the cheapest Argon2`, took.sealed, took.sealedPeer),
  ]
}

/** Opens each file and writes the key without a passphrase. Returns the milliseconds that took. */
async function convertAll(keys, options) {
  const openssh = formatOfOption('openssh')
  const began = performance.now()
  for (const bytes of keys) {
    const key = await readPrivateKey(bytes, options)
    await openssh.write(key)
    key.wipe()
  }
  return performance.now() - began
}
