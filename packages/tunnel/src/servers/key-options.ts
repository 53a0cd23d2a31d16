import { isPlain, KeytoolError, showForeign } from '@keytool/keygen'

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
  ['no-x11-forwarding', false],
  ['permitlisten', true],
  ['permitopen', true],
  ['port-forwarding', false],
  ['principals', true],
  ['pty', false],
  ['restrict', false],
  ['tunnel', true],
  ['user-rc', false],
  ['verify-required', false],
  ['x11-forwarding', false],
])

/** What `restrict` takes away, and a later option may give back. */
const permissions = ['agent-forwarding', 'port-forwarding', 'pty', 'user-rc', 'x11-forwarding']

/** One option: a name, and a value in quotes in which `\"` is a quote. */
const OPTION = /^([A-Za-z0-9-]+)(?:="((?:[^"\\]|\\.)*)")?/s

/** The name in small letters, the value as it stands between its quotes. */
interface KeyOption {
  readonly name: string
  readonly value?: string
}

/** Names of the options, in small letters; `undefined` when sshd would not take them. */
export function parseKeyOptions(text: string): string[] | undefined {
  return splitKeyOptions(text)?.map(({ name }) => name)
}

/**
 * Whether sshd would do the same for both: their order does not matter, except where one takes another back. Both are
 * empty or such as sshd takes.
 */
export function meanTheSame(one: string, other: string): boolean {
  return effectOf(one) === effectOf(other)
}

/** What is left of them: the last word on each matter, and every value. */
function effectOf(text: string): string {
  const left = new Map<string, string>()
  for (const { name, value } of splitKeyOptions(text) ?? []) {
    if (name === 'restrict') for (const matter of permissions) left.delete(matter)
    if (value === undefined) left.set(name.replace(/^no-/, ''), name)
    else left.set(`${name}=${value}`, name)
  }
  return JSON.stringify([...left].sort())
}

function splitKeyOptions(text: string): KeyOption[] | undefined {
  const found: KeyOption[] = []
  let rest = text
  for (;;) {
    const [whole, word, value] = OPTION.exec(rest) ?? []
    if (whole === undefined || word === undefined) return undefined
    const name = word.toLowerCase()
    if (options.get(name) !== (value !== undefined)) return undefined
    found.push(value === undefined ? { name } : { name, value })
    rest = rest.slice(whole.length)
    if (rest === '') return found
    if (!rest.startsWith(',')) return undefined
    rest = rest.slice(1)
  }
}

/** The options, if sshd would take them. Throws `usage`. */
export function checkKeyOptions(text: string): string {
  if (parseKeyOptions(text) && isPlain(text)) return text
  throw new KeytoolError('usage', `${showForeign(text)} are no options of authorized_keys`, {
    hint: `such as: --options 'from="192.0.2.*",no-pty'`,
  })
}
