/** What a terminal or a reader could mistake for something else: controls, marks that turn or hide text, letters without ink. */
const UNSAFE = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Cn}\u2028\u2029\u2800]|(?!\ufe0f)\p{Default_Ignorable_Code_Point}/gu

/**
 * Foreign text as it may be shown: controls, bidi marks and invisible characters written as `\u{…}`, cut to `max`
 * characters. What servers and files say passes through here before it stands in an error or a prompt.
 */
export function showForeign(text: string, max = 200): string {
  const characters = [...text.slice(0, 4 * max)]
  const shown = characters.slice(0, max).join('').replace(UNSAFE, escapeOne)
  return characters.length > max ? `${shown}…` : shown
}

/** True when the text holds no control, bidi or invisible character, so that it can be shown and stored as it is. */
export function isPlain(text: string): boolean {
  return text.search(UNSAFE) === -1
}

function escapeOne(character: string): string {
  return `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`
}
