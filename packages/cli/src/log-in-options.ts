import type { ReachOptions } from './reach.js'

/** What may be said on a command line about logging in. */
export interface LogInOptions extends ReachOptions {
  readonly identity?: string
  readonly passphraseFile?: string
  readonly passwordFile?: string
  readonly hostKey?: string
  /** `-A`. */
  readonly forwardAgent?: boolean
  readonly verbose?: boolean
  /** Whether the server's banner is shown. */
  readonly tellsBanner?: boolean
  /** How long TCP may take, in milliseconds. Default: ConnectTimeout, or 15 s. */
  readonly dialTime?: number
}

/** The flags of {@link LogInOptions} beside those of a host. */
export const logInFlags = [
  ['-i, --identity <file>', 'the key to log in with, and no other'],
  ['--passphrase-file <file>', "the first line of FILE is the key's passphrase (-: standard input)"],
  ['--password-file <file>', "the first line of FILE is the account's password (-: standard input)"],
  ['--host-key <fingerprint>', 'accept a server not known yet if it shows this key'],
  ['-v, --verbose', 'say what is done, and which settings are left out'],
] as const
