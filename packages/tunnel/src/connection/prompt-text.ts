import { showForeign } from '@keytool/keygen'

/** What of the server's words is shown before an answer, in characters: too little to push our own out of sight. */
const MAX_TEXT = 60
/** What looks like nothing, alone or in runs: white space, and the letters and signs that are drawn empty. */
const BLANKS = /[\s\p{Z}\u115f\u1160\u2800\u3164\uffa0]+/gu

/** Whether {@link showPrompt} loses nothing of it. */
export function isShownWhole(text: string): boolean {
  const words = text.trim()
  return words.length <= MAX_TEXT && !/[\r\n]/.test(words)
}

/** A server's question, on one line, escaped and cut. */
export function showPrompt(text: string): string {
  const shown = [...showForeign(text.replace(BLANKS, ' ').trim(), MAX_TEXT)]
  // Once more, since what was escaped has grown.
  return shown.length > MAX_TEXT ? `${shown.slice(0, MAX_TEXT).join('')}…` : shown.join('')
}
