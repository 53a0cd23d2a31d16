// How long a person waits for the smallest command.
import { join } from 'node:path'
import { interleave, ratio, spread } from './measure.mjs'

export const title = 'keytool fingerprint KEY.pub, beside an empty node and beside ssh-keygen -lf'

const ROUNDS = 25

export async function measure(world) {
  const key = join(world.home, 'start-up')
  world.run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', key])
  const [node, args] = world.keytool(['fingerprint', `${key}.pub`])
  const took = await interleave(ROUNDS, {
    ours: () => world.time(node, args),
    node: () => world.time(node, ['-e', '0']),
    openssh: () => world.time('ssh-keygen', ['-lf', `${key}.pub`]),
  })
  const more = took.ours.median - took.node.median
  const ours = spread(took.ours, ' ms')
  return [
    {
      what: 'beside node -e 0',
      ours,
      peer: spread(took.node, ' ms'),
      measured: `+${more.toFixed(1)} ms`,
      wanted: '<= +25 ms',
      // On a busy machine the quickest starts are those that it left alone.
      note: `of the quickest: +${(took.ours.min - took.node.min).toFixed(1)} ms`,
    },
    {
      what: 'beside ssh-keygen -lf',
      ours,
      peer: spread(took.openssh, ' ms'),
      measured: ratio(took.ours.median, took.openssh.median),
    },
  ]
}
