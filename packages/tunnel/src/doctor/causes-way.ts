import type { CauseRow } from './cause.js'
import { askDoctor, connectTo, serverLog } from './remedies.js'

export type WayCause =
  | 'settings'
  | 'known-hosts'
  | 'dns'
  | 'refused'
  | 'timeout'
  | 'unreachable'
  | 'proxy-command'
  | 'hung-up'
  | 'server-busy'
  | 'locked-out'
  | 'not-ssh'
  | 'protocol'
  | 'no-common-algorithm'
  | 'host-key-unknown'
  | 'host-key-changed'
  | 'host-key-refused'

/** What keeps a connection from standing, in the order in which it can fail. */
export const wayCauses: Readonly<Record<WayCause, CauseRow>> = {
  settings: {
    code: 'unsupported',
    say: ({ account }) => `what is configured for ${account} can't be used`,
    advice: 'correct it, or leave it out once',
    remedy: ({ program, again }) => `${program} doctor -F none ${again}`,
  },
  'known-hosts': {
    code: 'damaged',
    say: () => "known_hosts can't be read",
    advice: 'it has to be text, and readable by you',
    remedy: ({ program }) => `${program} inspect ~/.ssh/known_hosts`,
  },
  dns: {
    code: 'unreachable',
    say: ({ host }) => `no address is known for ${host}`,
    advice: 'correct the name; whether it is known now',
    remedy: ({ program, host, session }) =>
      session === undefined ? `getent hosts ${host}` : `${program} session edit ${session}`,
  },
  refused: {
    code: 'unreachable',
    say: ({ place }) => `nothing listens at ${place}`,
    advice: 'if the port is right (-p), see on the server whether sshd runs',
    remedy: () => 'systemctl status ssh',
  },
  timeout: {
    code: 'unreachable',
    say: ({ place }) => `${place} does not answer`,
    advice: 'a firewall on the way, a machine that is off or hangs, or another address; whether it answers at all',
    remedy: ({ host }) => `ping -c 3 ${host}`,
  },
  unreachable: {
    code: 'unreachable',
    say: ({ place }) => `there is no way to ${place} from here`,
    advice: 'see whether this machine is in the right network',
    remedy: ({ host }) => `ip route get ${host}`,
  },
  'proxy-command': {
    code: 'unreachable',
    say: ({ place }) => `the program of ProxyCommand does not lead to ${place}`,
    advice: 'see what it says',
    remedy: clues => connectTo(clues, '-v '),
  },
  'hung-up': {
    code: 'unreachable',
    say: ({ place }) => `${place} hangs up`,
    advice: 'its log says why; on the server',
    remedy: serverLog,
  },
  'server-busy': {
    code: 'unreachable',
    say: ({ place }) => `${place} has too many logins under way (MaxStartups)`,
    advice: 'wait a moment, then again',
    remedy: askDoctor,
  },
  'locked-out': {
    code: 'unreachable',
    say: ({ place }) => `${place} does not talk to this address for now (PerSourcePenalties)`,
    advice: 'too many logins from here have failed: wait ten minutes, then again',
    remedy: askDoctor,
  },
  'not-ssh': {
    code: 'damaged',
    say: ({ place }) => `what answers at ${place} does not speak SSH`,
    advice: 'the right port is said with -p; which it is, on the server',
    remedy: () => "sshd -T | grep '^port'",
  },
  protocol: {
    code: 'damaged',
    say: ({ place }) => `${place} breaks the SSH protocol`,
    advice: 'see what it says, and whether something stands between',
    remedy: clues => connectTo(clues, '-v '),
  },
  'no-common-algorithm': {
    code: 'unsupported',
    say: ({ place }) => `${place} and this program have no algorithm in common`,
    advice: 'it needs an update; what it has, in its own words',
    remedy: ({ host }) => `ssh -vv ${host}`,
  },
  'host-key-unknown': {
    code: 'host-key-unknown',
    say: ({ place }) => `the host key of ${place} is not known yet`,
    advice: "compare it with the server's own, and say yes",
    remedy: clues => connectTo(clues),
  },
  'host-key-changed': {
    code: 'host-key-changed',
    say: ({ place }) => `the host key of ${place} is not the one that is known: someone may be listening`,
    advice: 'only if whoever runs the server says that it was rebuilt',
    remedy: ({ program, host }) => `${program} known-hosts remove ${host}`,
  },
  'host-key-refused': {
    code: 'refused',
    say: ({ place }) => `the host key of ${place} is not strong enough to be trusted`,
    advice: 'whoever runs the server has to make another; there',
    remedy: () => 'ssh-keygen -A',
  },
}
