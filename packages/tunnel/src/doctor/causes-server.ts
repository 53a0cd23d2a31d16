import type { CauseRow } from './cause.js'
import { serverLog } from './remedies.js'

export type ServerCause =
  | 'permissions'
  | 'authorized-keys-path'
  | 'authorized-keys-unreadable'
  | 'key-restricted'
  | 'key-type'
  | 'key-refused'
  | 'account-refused'
  | 'login-ended'
  | 'no-shell'
  | 'forward-denied'
  | 'forward-dead'
  | 'port-in-use'

/** What a server does with a key that is right, and with those who are in. */
export const serverCauses: Readonly<Record<ServerCause, CauseRow>> = {
  permissions: {
    code: 'secret-wrong',
    say: ({ account }) => `sshd does not heed the keys of ${account}: others may change where they lie`,
    advice: 'on the server',
    remedy: () => 'chmod go-w ~ ~/.ssh ~/.ssh/authorized_keys',
  },
  'authorized-keys-path': {
    code: 'secret-wrong',
    say: ({ account }) => `sshd looks elsewhere for the keys of ${account} (AuthorizedKeysFile)`,
    advice: 'where, and which types of keys it takes, says on the server',
    remedy: ({ user }) => `sudo sshd -T -C user=${user} | grep -iE 'authorizedkeys|pubkeyaccepted'`,
  },
  'authorized-keys-unreadable': {
    code: 'damaged',
    say: ({ account }) => `authorized_keys of ${account} is no text that sshd can read`,
    advice: 'it has to be UTF-8 without a byte order mark; on the server, if it is UTF-16',
    remedy: () => 'iconv -f UTF-16 -t UTF-8 ~/.ssh/authorized_keys',
  },
  'key-restricted': {
    code: 'secret-wrong',
    say: ({ account }) => `the key's own line in authorized_keys does not let ${account} in from here, or now`,
    advice: 'change its options; on the server',
    remedy: () => 'vi ~/.ssh/authorized_keys',
  },
  'key-type': {
    code: 'secret-wrong',
    say: () => 'the server takes no keys of this type or size, whoever has them',
    advice: 'make one of another type (keytool gen -t TYPE); which it takes, says on the server',
    remedy: () => `sudo sshd -T | grep -iE 'pubkeyaccepted|requiredrsa'`,
  },
  'key-refused': {
    code: 'secret-wrong',
    say: ({ account }) => `the server does not know the key for ${account}`,
    advice: 'put it there',
    remedy: clues =>
      `${clues.program} install-pubkey ${clues.key === undefined ? '' : `-i ${clues.key} `}${clues.again}`,
  },
  'account-refused': {
    code: 'secret-wrong',
    say: ({ account }) => `the server lets ${account} in neither by key nor by this password`,
    advice: 'a wrong password; or there is no such account, or none that may log in (AllowUsers). On the server',
    remedy: serverLog,
  },
  'login-ended': {
    code: 'secret-wrong',
    say: ({ place }) => `${place} ended the login`,
    advice: 'its log says why; on the server',
    remedy: serverLog,
  },
  'no-shell': {
    code: 'refused',
    say: ({ account }) => `${account} gets in, but no shell (forwards and SFTP may work)`,
    advice: 'if there should be one, on the server',
    remedy: ({ user }) => `chsh -s /bin/sh ${user}`,
  },
  'forward-denied': {
    code: 'refused',
    say: ({ place }) => `${place} does not allow this forward`,
    advice: "its AllowTcpForwarding, PermitOpen and PermitListen decide, and the key's options; on the server",
    remedy: () => 'sshd -T | grep -iE "allowtcpforwarding|permit(open|listen)|disableforwarding"',
  },
  'forward-dead': {
    code: 'unreachable',
    say: ({ place }) => `${place} allows the forward, but nothing answers where it leads`,
    advice: 'start what should answer there; who listens, on the server',
    remedy: () => 'ss -tln',
  },
  'port-in-use': {
    code: 'failed',
    say: () => 'the port that the forward listens on is taken here',
    advice: 'choose another; who holds it',
    remedy: () => 'ss -tlnp',
  },
}
