import { KeytoolError } from '@keytool/keygen'
import type { ForwardFlags } from '../forwards.js'
import type { Usage } from '../options.js'

export interface SetupFlags extends ForwardFlags {
  readonly port?: string
  readonly login?: string
  readonly jump?: string
  readonly identity?: string
  readonly name?: string
  readonly charset?: string
  readonly mail?: boolean
  readonly hostKey?: string
  readonly passwordFile?: string
  readonly passphraseFile?: string
  readonly generatePassphrase?: boolean
  /** False: `--no-passphrase`. */
  readonly passphrase: boolean
  /** False: `--no-keychain`. */
  readonly keychain: boolean
  readonly kind?: string
  readonly onlyNow?: boolean
  readonly yes?: boolean
  readonly dryRun?: boolean
  readonly undo?: boolean
  readonly keepKey?: boolean
  readonly leaveServer?: boolean
}

export const usage: Usage = {
  command: 'setup',
  takes: '[destination]',
  summary: [
    'All of it in one command: a key, the agent that serves it, both at every login; the key on the server, a saved session,',
    'and its tunnel up, now and at every login. What it can not know it asks. Done again, it changes nothing.',
  ].join('\n'),
  examples: [
    'setup',
    'setup hana@example.com -p 229 --mail',
    'setup hana@example.com -L 8080:localhost:80',
    'setup hana@example.com --mail --password-file pw --generate-passphrase --host-key SHA256:…',
    'setup --undo hana@example.com',
  ],
  options: [
    ['-p, --port <port>', "the server's port"],
    ['-l, --login <user>', 'who logs in'],
    ['-J, --jump <hosts>', 'hosts on the way: [user@]host[:port],...'],
    ['-i, --identity <file>', 'the key: this one if it is there, else it is made there (default: as for ssh)'],
    ['--mail', "forward the server's mail ports, and print what to enter in the mail program"],
    ['-L, --local <forward>', '[bind:]port:host:hostport; may be given again', 'many'],
    ['-R, --remote <forward>', 'the same, listening on the server', 'many'],
    ['-D, --dynamic <forward>', '[bind:]port: a SOCKS proxy', 'many'],
    ['--name <name>', "the session's name (default: the host's)"],
    ['--charset <charset>', "what the server's programs write, such as euc-jp"],
    ['--host-key <fingerprint>', 'accept a server not known yet if it shows this key'],
    ['--password-file <file>', "the first line of FILE is the account's password (-: standard input)"],
    ['--passphrase-file <file>', "the first line of FILE is the key's passphrase (-: standard input)"],
    ['--generate-passphrase', "make the new key's passphrase up; the system's keychain keeps it"],
    ['--no-passphrase', 'make the new key without one: whoever reads the file has the key'],
    ['--no-keychain', 'leave the passphrase out of the keychain: the agent asks for it'],
    ['--kind <kind>', 'systemd, xdg, launchd, task: what starts agent and tunnel at login'],
    ['--only-now', 'start agent and tunnel now, and nothing at login'],
    ['--yes', 'take the defaults: forward the mail that is found; with --undo, remove the key that was made'],
    ['--dry-run', 'show what would be done, and change nothing'],
    ['--undo', 'take back all that setup did there, and nothing else'],
    ['--keep-key', 'with --undo: the key that was made stays'],
    ['--leave-server', 'with --undo: do not touch the server'],
  ],
}

/** What can't be meant is said before anything is looked at. @throws KeytoolError `usage` */
export function checkFlags(flags: SetupFlags): void {
  const contradiction = (one: string, other: string) =>
    new KeytoolError('usage', `${one} and ${other} contradict each other`)
  if (flags.passwordFile === '-' && flags.passphraseFile === '-') {
    throw new KeytoolError('usage', 'only one secret can come from standard input')
  }
  if (!flags.passphrase && flags.passphraseFile !== undefined) {
    throw contradiction('--no-passphrase', '--passphrase-file')
  }
  if (flags.onlyNow && flags.kind !== undefined) throw contradiction('--only-now', '--kind')
  if (flags.generatePassphrase) {
    if (!flags.passphrase) throw contradiction('--generate-passphrase', '--no-passphrase')
    if (flags.passphraseFile !== undefined) throw contradiction('--generate-passphrase', '--passphrase-file')
    if (!flags.keychain) throw contradiction('--generate-passphrase', '--no-keychain')
  }
  if (flags.undo) return
  for (const [name, given] of [
    ['--keep-key', flags.keepKey],
    ['--leave-server', flags.leaveServer],
  ] as const) {
    if (given) throw new KeytoolError('usage', `${name} belongs to --undo`)
  }
}
