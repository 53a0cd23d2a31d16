import type { KeytoolError } from '@keytool/keygen'

/** A host of a file of hosts, which can be gone to. */
export interface ListedHost {
  /** As the file calls it: a host, an alias of ssh_config, a saved session. */
  readonly word: string
  /** What is dialled in place of `word`; ssh_config is asked for it. */
  readonly host?: string
  /** 1 to 65535. */
  readonly port?: number
  readonly user?: string
  /** The key file that logs in there: as it stands in the file, `~` in it not expanded. */
  readonly identity?: string
  /** Hosts on the way, in the spelling of `-J`. */
  readonly jump?: string
  /** Where it stands first, counted from 1; absent for JSON. */
  readonly line?: number
}

/** One that the file says too little or too much about: what is wrong with it, in the words of an outcome. */
export interface RefusedHost {
  readonly word: string
  readonly refused: KeytoolError
  readonly line?: number
}

/** One that is not reached by SSH at all, and why: `it is this machine itself (ansible_connection=local)`. */
export interface PassedOver {
  readonly word: string
  readonly passedOver: string
  readonly line?: number
}

export type InventoryHost = ListedHost | RefusedHost | PassedOver
