import type { Environment } from '../platform/places.js'

/** What starts the agent at login. */
export type LoginKindName = 'systemd' | 'xdg' | 'launchd' | 'task'

/** All that what is written depends on. Paths are absolute. */
export interface LoginFacts {
  /** node's name of the operating system. */
  readonly system: string
  readonly node: string
  /** What node is started with: see `nodeArguments`. */
  readonly nodeArguments: readonly string[]
  /** keytool, for node to run. */
  readonly program: string
  readonly home: string
  /** Of ours what should survive a restart: `Places.state`. */
  readonly state: string
  /** The agent's fixed place. */
  readonly socket: string
  readonly env: Environment
  /** Absent on Windows. */
  readonly uid?: number
  /** The user's name: on Windows with its domain in front. */
  readonly user: string
}

/** How a file says that it is ours: a comment of its own kind. */
export interface Comment {
  readonly open: string
  readonly close: string
  /** How many lines stand before it. */
  readonly after: number
}

export interface LoginFile {
  readonly path: string
  /** Without the line that says that it is ours. Ends with a line end. */
  readonly text: string
  readonly comment: Comment
  /** Default `utf8`. UTF-16 has its byte order mark. */
  readonly encoding?: 'utf8' | 'utf16le'
  /** What of it names this program: has to be in the file, whatever else its user has changed. */
  readonly essential?: string
}

export type Command = readonly [program: string, ...args: string[]]

/** Holds when the command ends with 0 and, where lines are named, one of them is in its output. */
export interface Check {
  readonly command: Command
  readonly lines?: readonly string[]
}

/** Something to be done besides the files. */
export interface Step {
  readonly command: Command
  /** It is done already when this holds. */
  readonly unless?: Check
  /** It is to be done only when this holds. */
  readonly onlyIf?: Check
  /** It is to be done only where files were changed. */
  readonly afterChange?: boolean
  /** It takes the agent's place: not while an agent answers there that something else has started. */
  readonly takesPlace?: boolean
  /** Whether its failure is no matter. */
  readonly mayFail?: boolean
}

/** What one kind of service comes to for one user. */
export interface LoginPlan {
  readonly files: readonly LoginFile[]
  /** After the files are written. */
  readonly enable: readonly Step[]
  /** Before the files are removed. */
  readonly disable: readonly Step[]
  /** After that. */
  readonly forget?: readonly Step[]
  /** The link by which it is enabled, where that is one. */
  readonly link?: string
}

/** A way in which a system starts things at login. Pure: what it plans is applied elsewhere. */
export interface LoginKind {
  readonly name: LoginKindName
  /** In words, after "by". */
  readonly title: string
  readonly systems: readonly string[]
  /** Whether it can be used here and now. Absent: always. */
  readonly answers?: Check
  /** @throws KeytoolError `unsupported` for a path that can't be written in its files */
  plan(facts: LoginFacts): LoginPlan
}
