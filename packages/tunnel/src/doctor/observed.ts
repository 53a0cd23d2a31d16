import type { KeytoolError, PublicKey } from '@keytool/keygen'

/** What became of one key in a login. */
export interface KeyTry {
  readonly key: PublicKey
  readonly certificate?: PublicKey
  /** The server asked for a signature with it: it is one that may get in. */
  taken: boolean
  /** The signature was given. */
  signed: boolean
  /** Why there was none. */
  error?: KeytoolError
}

/**
 * What was seen of one attempt to get in, beside the error it ended with. Each part says how far it came: what was not
 * reached is absent or false.
 */
export interface Observed {
  /** How the connection beneath was to be come by. */
  readonly by: 'socket' | 'hop' | 'program'
  /** It stood. */
  dialled: boolean
  /** The first that came over it, as Latin-1: the server's greeting, or whatever answers there. */
  heard: string
  /** The other end closed it, and not we. */
  closedThere: boolean
  /** The host has proved that its key is its own. */
  proved: boolean
  /** Whether keys may be used at all, by what ssh_config says. */
  usesKeys: boolean
  /** Keys as they were to be offered, in this order; absent when the server did not ask for any. */
  keys?: readonly KeyTry[]
  /** Why there are none to offer, where that is an error by itself: a file that is not there, or damaged. */
  keysError?: KeytoolError
  /** The agent, when keys were looked for. */
  agent?: AgentState
  /** What it ended with; absent: the user is in. */
  error?: KeytoolError
}

/** `forbidden`: by IdentityAgent; `empty`: it answers and shows no key; `holds`: it shows some. */
export type AgentState = 'forbidden' | 'missing' | 'locked' | 'empty' | 'holds'

/** What of the greeting is kept, in bytes. RFC 4253 section 4.2: 255 for the line, and there may be others before it. */
export const MAX_HEARD = 1024

/** The server's own line, such as `SSH-2.0-OpenSSH_9.2p1`: foreign text. */
export function greetingIn({ heard }: Pick<Observed, 'heard'>): string | undefined {
  return /^SSH-[^\r\n]*/m.exec(heard)?.[0]
}
