// Opening a key that bcrypt protects: what every first use of a key waits for.
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { interleave, ratio, spread } from './measure.mjs'

export const title = 'opening an OpenSSH key of 24 bcrypt rounds: keytool convert, ssh-keygen -y'

const ROUNDS = 9

export async function measure(world) {
  const key = join(world.home, 'bcrypt')
  const secret = join(world.home, 'bcrypt-passphrase')
  const passphrase = 'only for this bench'
  await writeFile(secret, `${passphrase}\n`, { mode: 0o600 })
  world.run('ssh-keygen', ['-q', '-t', 'ed25519', '-a', '24', '-N', passphrase, '-f', key])
  const [node, args] = world.keytool([
    'convert',
    key,
    '--to',
    'openssh',
    '--no-passphrase',
    '--passphrase-file',
    secret,
  ])
  const took = await interleave(ROUNDS, {
    ours: () => world.time(node, args),
    node: () => world.time(node, ['-e', '0']),
    openssh: () => world.time('ssh-keygen', ['-y', '-P', passphrase, '-f', key]),
  })
  const peer = spread(took.openssh, ' ms')
  return [
    {
      what: 'start-up included',
      ours: spread(took.ours, ' ms'),
      peer,
      measured: ratio(took.ours.median, took.openssh.median),
    },
    {
      what: 'without the start of node -e 0',
      ours: `${(took.ours.median - took.node.median).toFixed(0)} ms`,
      peer,
      measured: ratio(took.ours.median - took.node.median, took.openssh.median),
      wanted: '<= 1.2x',
    },
  ]
}
