import type { ForwardFlags } from '../../forwards.js'
import { type LogInOptions, logInFlags } from '../../log-in-options.js'
import type { Usage } from '../../options.js'
import { reachFlags } from '../../reach.js'

export const usage: Usage = {
  command: 'doctor',
  takes: '[host]',
  summary:
    "Say why a host can't be logged in to, or a forward does not carry: one cause, and one remedy. Nothing is changed, there or here. HOST is a saved session, a host of ssh_config, or [USER@]HOST; without it, this machine is looked at.",
  examples: ['doctor hana@example.com', 'doctor mail', 'doctor -L 1110:localhost:110 hana@example.com', 'doctor'],
  options: [
    ['-L, --local <forward>', 'look at this forward, too, as tunnel takes it; may be given again', 'many'],
    ['-R, --remote <forward>', 'the same, listening on the server', 'many'],
    ['-D, --dynamic <forward>', 'the same for a SOCKS proxy', 'many'],
    ...reachFlags,
    ...logInFlags,
  ],
}

export interface DoctorOptions extends LogInOptions, ForwardFlags {
  readonly quiet?: boolean
}
