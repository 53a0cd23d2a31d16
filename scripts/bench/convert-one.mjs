// One key, from the shell and back to it.
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { interleave, ratio, spread } from './measure.mjs'

const ROUNDS = 7

export async function measureOne(world, secret) {
  const none = join(world.home, 'convert-none')
  await writeFile(none, '')
  const sealed = join(world.home, 'sealed.ppk')
  const open = join(world.home, 'open.ppk')
  // puttygen chooses how often Argon2 passes by the time they take here.
  world.run('puttygen', ['-q', '-t', 'ed25519', '-C', 'bench', '-o', sealed, '--new-passphrase', secret])
  world.run('puttygen', ['-q', '-t', 'ed25519', '-C', 'bench', '-o', open, '--new-passphrase', none])
  const passes = /Argon2-Passes: (\d+)/.exec(await readFile(sealed, 'latin1'))?.[1]

  let files = 0
  const out = () => join(world.home, `converted-${files++}`)
  const convert = (path, ...args) =>
    world.time(...world.keytool(['convert', path, '--to', 'openssh', '-o', out(), ...args]))
  const puttygen = (path, ...args) => world.time('puttygen', [path, '-O', 'private-openssh-new', '-o', out(), ...args])
  const took = await interleave(ROUNDS, {
    node: () => world.time(process.execPath, ['-e', '0']),
    sealed: () => convert(sealed, '--passphrase-file', secret),
    likewise: () => convert(sealed, '--passphrase-file', secret, '--rounds', '16'),
    sealedPeer: () => puttygen(sealed, '--old-passphrase', secret, '--new-passphrase', secret),
    open: () => convert(open),
    openPeer: () => puttygen(open),
  })
  const row = (what, ours, peer) => ({
    what,
    ours: spread(ours, ' ms'),
    peer: spread(peer, ' ms'),
    measured: ratio(ours.median - took.node.median, peer.median),
  })
  return [
    {
      ...row(`encrypted, Argon2id of ${passes} passes, without node -e 0`, took.sealed, took.sealedPeer),
      wanted: '<= 2x',
      note: `24 bcrypt rounds, puttygen 16; node -e 0: ${spread(took.node, ' ms')}`,
    },
    { ...row('the same with 16 bcrypt rounds', took.likewise, took.sealedPeer), wanted: '<= 2x' },
    {
      ...row('not encrypted, without node -e 0', took.open, took.openPeer),
      wanted: '<= 2x',
      note: 'ours is synced to the disk and read back',
    },
  ]
}
