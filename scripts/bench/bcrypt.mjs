// Opening a key that bcrypt protects: what every first use of a key waits for.
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { interleave, ratio, spread } from './measure.mjs'

export const title = 'opening an OpenSSH key of 24 bcrypt rounds, start-up included'

const ROUNDS = 9

export async function measure(world) {
  const key = join(world.home, 'bcrypt')
  const secret = join(world.home, 'bcrypt-passphrase')
  const passphrase = 'only for this bench'
  await writeFile(secret, `${passphrase}\n`, { mode: 0o600 })
  world.run('ssh-keygen', ['-q', '-t', 'ed25519', '-a', '24', '-N', passphrase, '-f', key])
  const args = ['convert', key, '--to', 'openssh', '--no-passphrase', '--passphrase-file', secret]
  const took = await interleave(ROUNDS, {
    ours: () => world.time(...world.keytool(args)),
    openssh: () => world.time('ssh-keygen', ['-y', '-P', passphrase, '-f', key]),
  })
  return [
    {
      what: 'keytool convert, ssh-keygen -y',
      ours: spread(took.ours, ' ms'),
      peer: spread(took.openssh, ' ms'),
      measured: ratio(took.ours.median, took.openssh.median),
    },
  ]
}
