/** Options of authorized_keys (sshd(8)), and whether each has a value. sshd refuses the whole line for any other. */
const options: ReadonlyMap<string, boolean> = new Map([
  ['agent-forwarding', false],
  ['cert-authority', false],
  ['command', true],
  ['environment', true],
  ['expiry-time', true],
  ['from', true],
  ['no-agent-forwarding', false],
  ['no-port-forwarding', false],
  ['no-pty', false],
  ['no-touch-required', false],
  ['no-user-rc', false],
  ['no-verify-required', false],
  ['no-x11-forwarding', false],
  ['permitlisten', true],
  ['permitopen', true],
  ['port-forwarding', false],
  ['principals', true],
  ['pty', false],
  ['restrict', false],
  ['touch-required', false],
  ['tunnel', true],
  ['user-rc', false],
  ['verify-required', false],
  ['x11-forwarding', false],
])

/** The name of an option, and what follows it: the quote that begins its value, a comma, or the end. No name is as long. */
const NAME = /([A-Za-z0-9-]{1,64})(="|(?=,|$))/y

/** One option of an authorized_keys line. */
export interface KeyOption {
  /** In small letters: sshd does not mind. */
  readonly name: string
  /** As it stands between its quotes; absent for a flag. */
  readonly value?: string
}

/**
 * The options in their order; `undefined` when sshd would not take them. Commas too many are passed over, as sshd does.
 * Values are not looked into.
 */
export function splitKeyOptions(text: string): KeyOption[] | undefined {
  const found: KeyOption[] = []
  for (let at = 0; at < text.length; ) {
    if (text.charAt(at) === ',') {
      at++
      continue
    }
    NAME.lastIndex = at
    const [whole, word, next] = NAME.exec(text) ?? []
    if (whole === undefined || word === undefined) return undefined
    const name = word.toLowerCase()
    const hasValue = next === '="'
    if (options.get(name) !== hasValue) return undefined
    at += whole.length
    if (!hasValue) {
      found.push({ name })
      continue
    }
    const end = endOfValue(text, at)
    if (end < 0 || (end + 1 < text.length && text.charAt(end + 1) !== ',')) return undefined
    found.push({ name, value: text.slice(at, end) })
    at = end + 1
  }
  return found
}

/**
 * Where the quote stands that ends a value; -1 without one. `\"` is a quote in it; every other backslash is one, `\\` two.
 * Not by a pattern: on a line of many megabytes its stack would overflow.
 */
function endOfValue(text: string, from: number): number {
  let at = text.indexOf('"', from)
  while (at > from && text.charAt(at - 1) === '\\') at = text.indexOf('"', at + 1)
  return at
}

/** Where the word that begins at `at` ends: at a blank that stands in no quotes. sshd and ssh-keygen look for it in the same way. */
export function endOfOptions(text: string, at: number): number {
  let quoted = false
  let end = at
  for (; end < text.length; end++) {
    const character = text.charAt(end)
    if (!quoted && (character === ' ' || character === '\t')) break
    if (character === '\\' && text.charAt(end + 1) === '"') end++
    else if (character === '"') quoted = !quoted
  }
  return Math.min(end, text.length)
}
