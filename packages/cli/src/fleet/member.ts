import type { Destination } from '../reach.js'

/** One host of those a command goes to. */
export interface Member {
  /** As it was typed, or stands in the file of hosts. */
  readonly word: string
  readonly destination: Destination
  /** The key that logs in there, where the file of hosts names one. */
  readonly identity?: string
}

/** What came of one host: a row of the table, and of `--json` (`host`, `user`, `state`, `code`, `detail`). */
export interface HostOutcome {
  readonly host: string
  readonly user?: string
  readonly state: string
  /** Exit status of this host alone. */
  readonly code: number
  /** One line, escaped already. */
  readonly detail: string
}
