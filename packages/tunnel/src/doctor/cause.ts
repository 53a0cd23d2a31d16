import type { ErrorCode } from '@keytool/keygen'

/** What a remedy may name. Words are as a shell takes them; the rest is ready to be shown. */
export interface Clues {
  /** What this program was called by. */
  readonly program: string
  /** `host:port`. */
  readonly place: string
  /** `user@host`. */
  readonly account: string
  /** Who logs in, a word. */
  readonly user: string
  /** Name or address alone, a word. */
  readonly host: string
  /** The host's words on a command line: `-p 229 hana@example.com`, or a session's name. */
  readonly again: string
  /** Name of the saved session it goes by, a word. */
  readonly session?: string
  /** The key it is about, a word: its file. */
  readonly key?: string
}

export interface CauseRow {
  /** What it is to a script: decides the exit status. */
  readonly code: ErrorCode
  /** One sentence, without what to do. */
  say(clues: Clues): string
  /** What to do, up to the command. */
  readonly advice: string
  /** The command to type. */
  remedy(clues: Clues): string
}
