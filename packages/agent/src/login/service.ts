import type { Environment } from '../platform/places.js'

/** What starts things at login. */
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
  /** The command that writes it, which it names: `keytool agent install`. The same for all files of one sort. */
  readonly by: string
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
  /** It takes the place of what is started: not while one is there that something else has started. */
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
  /** What it leaves behind when it has run. */
  readonly traces?: Traces
}

/** Files that go with the service, and the folders they lie in, as far as those are empty then. */
export interface Traces {
  readonly files: readonly string[]
  /** The last of these folders: all files lie below it. */
  readonly within: string
}

/** A way in which a system starts things at login. Pure: what it plans is applied elsewhere. */
export interface LoginKind {
  readonly name: LoginKindName
  /** In words, after "by". */
  readonly title: string
  readonly systems: readonly string[]
  /** Whether it watches what it has started, starts it as soon as it is installed, and can stop it. */
  readonly supervises: boolean
  /** Whether it can be used here and now. Absent: always. */
  readonly answers?: Check
  /** @throws KeytoolError `unsupported` for a path that can't be written in its files */
  plan(facts: LoginFacts): LoginPlan
}

/** A program with its arguments, each a word of its own. */
export type Words = readonly [program: string, ...args: string[]]

/** What is to be started at login, whatever starts it. */
export interface LoginJob {
  readonly names: LoginNames
  /** What it does, for lists of what starts at login: `Holds SSH keys`. */
  readonly purpose: string
  /** As in {@link LoginFile}. */
  readonly by: string
  /** What is run: where it is watched, the program itself; elsewhere it may be one that lets go once all is well. */
  words(facts: LoginFacts, kind: LoginKindName): Words
  /** Variables that it needs, and may not have where it is started. */
  environment?(facts: LoginFacts): readonly Variable[]
  /** Exit statuses after which it is of no use to start it again. */
  readonly final?: readonly number[]
  /** Units of systemd's that are started before it where there are such. */
  readonly after?: readonly string[]
  traces?(facts: LoginFacts): Traces
  /** What else is to be taken back, before its files are removed. */
  undo?(facts: LoginFacts, kind: LoginKindName): readonly Step[]
}

/** How it is called where. Letters, digits, dots, dashes, underscores; in `title` blanks. */
export interface LoginNames {
  /** In lists, and as a task of Windows'. */
  readonly title: string
  /** Of its unit and its desktop entry. */
  readonly unit: string
  /** launchd's. */
  readonly label: string
  /** The file from which the task is made. */
  readonly taskFile: string
}

export type Variable = readonly [name: string, value: string]

/** All ways in which one thing can be started at login. */
export interface LoginSubject {
  /** What installs it, as it is typed. */
  readonly command: string
  /** In the order in which they are tried. */
  readonly kinds: readonly LoginKind[]
}
