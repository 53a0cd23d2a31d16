import type { Place } from './place.js'

export type { Place } from './place.js'

/** What is asked about: one host, and who asks. */
export interface HostQuery {
  /** As it was typed: an alias, a name or an address. */
  readonly host: string
  /** From the command line (`-l`, `user@`): stands before all files. */
  readonly user?: string | undefined
  /** From the command line, 1 to 65535. */
  readonly port?: number | undefined
  /** The remote command of the command line, for `Match command`. */
  readonly command?: string | undefined
  readonly localUser: string
  /** The home folder, absolute: `~`, `%d`, and where the user's file lies. */
  readonly home: string
}

/** Something that stands in the files for this host, and is not done here. */
export interface IgnoredSetting extends Place {
  /** As ssh_config(5) spells it, in small letters; with a criterion for `match exec` and the like. */
  readonly keyword: string
}

/** An agent's socket; `none` forbids any. */
export type AgentPlace = { readonly path: string } | 'none'

/** Values that stand for themselves. One that no file says is absent: OpenSSH's default is in parentheses. */
export interface PlainSettings {
  readonly port?: number
  /** (any) */
  readonly addressFamily?: 'any' | 'inet' | 'inet6'
  readonly bindAddress?: string
  /** (no) */
  readonly compression?: boolean
  /** (1) */
  readonly connectionAttempts?: number
  /** In seconds (the system's). */
  readonly connectTimeout?: number
  /** `none`, or one character (~). */
  readonly escapeChar?: string
  /** (no) */
  readonly exitOnForwardFailure?: boolean
  /** Whether forwards without an address listen on all of them (no). */
  readonly gatewayPorts?: boolean
  /** (no) */
  readonly hashKnownHosts?: boolean
  /** Whether an agent's other keys stay unused (no). */
  readonly identitiesOnly?: boolean
  /** (yes) */
  readonly kbdInteractiveAuthentication?: boolean
  /** (yes) */
  readonly passwordAuthentication?: boolean
  /** (yes) */
  readonly pubkeyAuthentication?: boolean
  /** (3) */
  readonly numberOfPasswordPrompts?: number
  /** Best first. */
  readonly preferredAuthentications?: readonly string[]
  /** (auto) */
  readonly requestTty?: 'auto' | 'no' | 'yes' | 'force'
  /** (3) */
  readonly serverAliveCountMax?: number
  /** In seconds; 0 is never (0). */
  readonly serverAliveInterval?: number
  /** (ask) */
  readonly strictHostKeyChecking?: 'yes' | 'no' | 'ask' | 'accept-new'
  /** (yes) */
  readonly tcpKeepAlive?: boolean
  /** (yes, where the user's known_hosts is the usual one) */
  readonly updateHostKeys?: 'yes' | 'no' | 'ask'
  /** (INFO) */
  readonly logLevel?: string
  /** As it stands there: with `+`, `-` or `^` in front it changes the defaults. Names are not checked. */
  readonly ciphers?: string
  /** As {@link PlainSettings.ciphers}. */
  readonly macs?: string
  /** As {@link PlainSettings.ciphers}. */
  readonly kexAlgorithms?: string
  /** As {@link PlainSettings.ciphers}. */
  readonly hostKeyAlgorithms?: string
  /** As {@link PlainSettings.ciphers}: what an authority's signature on a host's certificate may be made with. */
  readonly caSignatureAlgorithms?: string
  /** Nobody is asked anything (no). */
  readonly batchMode?: boolean
  /** In bits: shorter RSA keys are not used, neither the host's nor ours (1024). */
  readonly requiredRsaSize?: number
  /** Not done; {@link PlainSettings.updateHostKeys} looks at it (no). */
  readonly verifyHostKeyDns?: 'yes' | 'no' | 'ask'
  /** For `Match tagged`. */
  readonly tag?: string
}

/** What the files say about one host (ssh_config(5)), with tokens, variables and `~` put in. */
export interface HostSettings extends PlainSettings {
  /** Where to go: HostName, else the host as typed; small letters, an address in its usual form. */
  readonly host: string
  readonly user?: string
  /** Name under which its keys are kept, in small letters. */
  readonly hostKeyAlias?: string
  /** Private keys to offer, in order. Absent: OpenSSH's usual names; empty: none (`IdentityFile none`). */
  readonly identityFiles?: readonly string[]
  readonly certificateFiles?: readonly string[]
  /** Absent: SSH_AUTH_SOCK. */
  readonly identityAgent?: AgentPlace
  /** Whether an agent is forwarded, and which (no). */
  readonly forwardAgent?: boolean | { readonly path: string }
  /** `[user@]host[:port]`, comma between, the first one dialled first. Never together with {@link HostSettings.proxyCommand}. */
  readonly proxyJump?: string
  /** As it stands there: {@link dialByCommand} puts the tokens in. */
  readonly proxyCommand?: string
  /** In the notation of `-L`, `-R`, `-D`, as `parseForward` reads it. */
  readonly localForwards: readonly string[]
  readonly remoteForwards: readonly string[]
  readonly dynamicForwards: readonly string[]
  /** Absent: the usual ones; empty: none. */
  readonly userKnownHostsFiles?: readonly string[]
  readonly globalKnownHostsFiles?: readonly string[]
  /** Files of keys that no host may show. */
  readonly revokedHostKeysFiles?: readonly string[]
  readonly remoteCommand?: string
  /** Names of variables to hand on; `*` and `?` may stand in them. */
  readonly sendEnv: readonly string[]
  readonly setEnv: Readonly<Record<string, string>>
  /** What stands there and is not done: to be said under `--verbose`. */
  readonly ignored: readonly IgnoredSetting[]
  /** The same where less would be checked than is asked for: with these no connection is made. */
  readonly needed?: readonly IgnoredSetting[]
  /** The files that were read, in order, as they may be shown. */
  readonly files: readonly string[]
}
