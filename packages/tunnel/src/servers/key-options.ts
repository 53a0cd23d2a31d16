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

/** One option: a name, and a value in quotes in which `\"` is a quote. */
const OPTION = /^([A-Za-z0-9-]+)(?:="((?:[^"\\]|\\.)*)")?/s

/** Names of the options, in small letters; `undefined` when sshd would not take them. */
export function parseKeyOptions(text: string): string[] | undefined {
  const names: string[] = []
  let rest = text
  for (;;) {
    const [whole, name, value] = OPTION.exec(rest) ?? []
    if (whole === undefined || name === undefined) return undefined
    const known = name.toLowerCase()
    if (options.get(known) !== (value !== undefined)) return undefined
    names.push(known)
    rest = rest.slice(whole.length)
    if (rest === '') return names
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
