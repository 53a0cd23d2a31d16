import type { Clues } from './cause.js'

// Commands that are the remedy for several causes.

export const askDoctor = ({ program, again }: Clues): string => `${program} doctor ${again}`

/** @param more options, with a blank behind them */
export const connectTo = ({ program, again }: Clues, more = ''): string => `${program} connect ${more}${again}`

/** The key's file, or a word in its place. */
export const keyOr = ({ key }: Clues): string => key ?? '~/.ssh/KEY'

export const certificateOf = (clues: Clues): string =>
  `${clues.program} inspect ${keyOr(clues).replace(/(\.pub)?$/, '-cert.pub')}`

/** What a server does not tell anybody from outside. */
export const serverLog = (): string => 'journalctl -u ssh -n 20'
