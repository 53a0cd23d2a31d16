import { isPlain, type KeyOption, KeytoolError, showForeign, splitKeyOptions } from '@keytool/keygen'

/** What `restrict` takes away, and a later option may give back. */
const permissions = ['agent-forwarding', 'port-forwarding', 'pty', 'user-rc', 'x11-forwarding']

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
  for (const option of splitKeyOptions(text) ?? []) {
    const { name, value } = option
    if (name === 'restrict') for (const matter of permissions) left.delete(matter)
    if (value === undefined) left.set(name.replace(/^no-/, ''), name)
    else left.set(showOption(option), name)
  }
  return JSON.stringify([...left].sort())
}

/**
 * The options, if sshd would take them. Throws `usage`, also for commas too many: sshd takes those, but nobody means them; and
 * for `cert-authority`: the line would not let this key in, but whomever it signs for.
 */
export function checkKeyOptions(text: string): string {
  const options = splitKeyOptions(text)
  if (options?.some(({ name }) => name.toLowerCase() === 'cert-authority')) {
    throw new KeytoolError('usage', 'with cert-authority this key itself would not be let in', {
      reason: 'its line would let in whoever has a certificate that this key has signed',
      hint: 'if that is meant, write the line on the server by hand',
    })
  }
  const shown = options?.map(showOption).join(',')
  if (shown && shown.length === text.length && isPlain(text)) return text
  throw new KeytoolError('usage', `${showForeign(text)} are no options of authorized_keys`, {
    hint: `such as: --options 'from="192.0.2.*",no-pty'`,
  })
}

function showOption({ name, value }: KeyOption): string {
  return value === undefined ? name : `${name}="${value}"`
}
