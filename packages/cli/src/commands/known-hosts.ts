import type { Run } from '../context.js'
import { dispatchTo } from '../subcommands.js'

export const run: Run = dispatchTo({
  command: 'known-hosts',
  about: "Servers' keys, where OpenSSH keeps them. A server that shows another key than is known is refused.",
  subcommands: {
    list: { summary: 'list the hosts whose keys are known', load: () => import('./known-hosts/list.js') },
    remove: { summary: "remove a host's keys", load: () => import('./known-hosts/remove.js') },
  },
  examples: ['known-hosts remove web1'],
})
