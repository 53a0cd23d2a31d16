/**
 * The scripts that run on servers. They are fixed: all that varies comes on their stdin, first a marker that no other
 * output holds, so that greetings of login scripts before and after do not matter. Each is one line for `sh`, quoted so
 * that sh, csh and fish pass it on alike: no single quote, no exclamation mark, no newline, no doubled backslash.
 */

/** What the scripts end with when they did not do it. */
export const failures: Readonly<Record<number, string>> = {
  90: 'its shell passed no input on',
  91: 'there is no home folder',
  92: "it can't be read",
  94: "the folder .ssh can't be made",
  95: "it can't be written: no permission, or no room",
}

/** Where both look, below the home folder. */
export const AUTHORIZED_KEYS = '.ssh/authorized_keys'

const start = `IFS= read -r m || exit 90; cd || exit 91; f=${AUTHORIZED_KEYS}`

/**
 * Prints `MARKER none`, or `MARKER file`, a newline, the file as it stands, a newline, and then `MARKER end`. A folder
 * or file that is there but can't be looked into is a failure, never "none".
 */
export const readScript: string = wrap(
  start,
  'if [ -d .ssh ]; then [ -x .ssh ] || exit 92; elif [ -e .ssh ] || [ -h .ssh ]; then exit 92; fi',
  'if [ -e "$f" ] || [ -h "$f" ]; then [ -f "$f" ] && [ -r "$f" ] || exit 92',
  'printf "%s file\\n" "$m"; cat "$f" || exit 92; printf "\\n%s end\\n" "$m"',
  'else printf "%s none\\n%s end\\n" "$m" "$m"; fi',
)

/**
 * Appends the second line of its stdin, behind a newline where the file's last line lacks one. Makes what is missing
 * for the user alone, changes no permissions of what is there, and prints `MARKER done`.
 */
export const appendScript: string = wrap(
  start,
  'IFS= read -r line || exit 90; umask 077',
  '[ -d .ssh ] || mkdir .ssh || exit 94',
  'e=; if [ -s "$f" ] && [ $(tail -c 1 "$f" | wc -l) -eq 0 ]; then e=y; fi',
  'if [ "$e" ]; then printf "\\n%s\\n" "$line" >> "$f" || exit 95; else printf "%s\\n" "$line" >> "$f" || exit 95; fi',
  'printf "%s done\\n" "$m"',
)

function wrap(...steps: string[]): string {
  return `exec sh -c '${steps.join('; ')}'`
}
