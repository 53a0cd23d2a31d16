import { showForeign } from '@keytool/keygen'
import { isShownWhole } from './prompt-text.js'

/** How much is shown of what a server says in one login: lines, and characters of each. A menu of tokens takes a dozen. */
const MAX_LINES = 48
const MAX_WIDTH = 160
/** What of one text is looked at, in characters. */
const MAX_TEXT = 16_384

/**
 * @param lines the server's words, escaped and cut
 * @param kind `question`: somebody is asked something next, and may not know what to answer without them
 */
export type OnNotice = (lines: readonly string[], kind: 'banner' | 'question') => void

/** What a server says to people while they log in. It may say any amount of it. */
export class Notices {
  readonly #tell: OnNotice | undefined
  #left = MAX_LINES

  constructor(tell: OnNotice | undefined) {
    this.#tell = tell
  }

  /** SSH_MSG_USERAUTH_BANNER. */
  banner(text: string): void {
    this.#note([text], 'banner')
  }

  /** SSH_MSG_USERAUTH_INFO_REQUEST: its name, its instruction, and prompts that are more than a question's line. */
  questions(name: string, instruction: string, prompts: readonly string[]): void {
    this.#note([name, instruction, ...prompts.filter(prompt => !isShownWhole(prompt))], 'question')
  }

  #note(texts: readonly string[], kind: 'banner' | 'question'): void {
    const said = texts.flatMap(readLines)
    const lines = said.slice(0, this.#left)
    this.#left -= lines.length
    if (lines.length > 0) this.#tell?.(said.length > lines.length ? [...lines, '…'] : lines, kind)
  }
}

/** Without blank lines around them. */
function readLines(text: string): string[] {
  const whole = text
    .slice(0, MAX_TEXT)
    .replace(/\s+$/, '')
    .replace(/^(?:[^\S\n]*\n)+/, '')
  if (whole === '') return []
  return whole.split(/\r\n|\n|\r/).map(line => showForeign(line.trimEnd().replaceAll('\t', '  '), MAX_WIDTH))
}
