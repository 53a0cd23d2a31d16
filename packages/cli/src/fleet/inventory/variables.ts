import { isPlain, KeytoolError, showForeign } from '@keytool/keygen'
import { checkHost, checkPort, checkUser, parseTarget, readJump, type Target } from '@keytool/tunnel'
import type { InventoryHost, ListedHost } from './host.js'
import type { Host } from './inventory.js'
import { readJumpArguments } from './ssh-arguments.js'
import { toText, type Variable } from './value.js'
import { variables } from './variable-names.js'

/** Ways of Ansible's that are SSH. */
const bySsh: ReadonlySet<string> = new Set(['ssh', 'smart', 'paramiko', 'paramiko_ssh', 'libssh'])

/** How a host of an inventory is reached, or why it is not. */
export function readHost(host: Host): InventoryHost {
  const named = { word: host.name, ...(host.line !== undefined && { line: host.line }) }
  try {
    const connection = lastText(host, variables.connection)?.replace(/^(ansible\.\w+|community\.\w+)\./, '')
    if (connection === 'local') return { ...named, passedOver: 'it is this machine itself (ansible_connection=local)' }
    if (connection !== undefined && !bySsh.has(connection)) {
      return { ...named, passedOver: `it is not reached by SSH (ansible_connection=${showForeign(connection, 64)})` }
    }
    return { ...named, ...readReach(host) }
  } catch (error) {
    if (!(error instanceof KeytoolError)) throw error
    return { ...named, refused: error }
  }
}

function readReach(host: Host): Omit<ListedHost, 'word' | 'line'> {
  const address = lastText(host, variables.host)
  // ssh takes the user from the host's name, too.
  const target = address === undefined ? readWord(host) : readTarget(address, host)
  const port = lastText(host, variables.port) ?? target?.port
  const user = lastText(host, variables.user) || target?.user
  const identity = lastText(host, variables.identity)
  const jump = readJumpOf(host)
  return {
    ...(target && { host: target.host }),
    ...(port !== undefined && { port: about(host, 'port', () => checkPort(toPort(port))) }),
    ...(user !== undefined && { user: about(host, 'user', () => checkUser(user)) }),
    ...(identity && { identity: about(host, 'key', () => checkPath(identity)) }),
    ...(jump !== undefined && { jump }),
  }
}

/** A plain word is left to whoever knows sessions and aliases. */
function readWord(host: Host): Target | undefined {
  const target = readTarget(host.name, host)
  return target.host === host.name ? undefined : target
}

function readTarget(text: string, host: Host): Target {
  return about(host, 'address', () => {
    const [, before, port] = /^([^:]*@[^:]+):(\d{1,5})$/.exec(text) ?? []
    return before === undefined ? parseTarget(text) : { ...parseTarget(before), port: checkPort(Number(port)) }
  })
}

function readJumpOf(host: Host): string | undefined {
  let jump: string | undefined
  for (const name of variables.arguments) {
    const text = lastText(host, [name])
    if (text !== undefined) jump ??= about(host, name, () => checkJump(readJumpArguments(text, name)))
  }
  return jump
}

/** The text of the last of these that has one. Empty it is, too: that says no user, no key. */
function lastText(host: Host, among: readonly string[]): string | undefined {
  let found: [string, Variable] | undefined
  for (const name of among) {
    const variable = host.variables.get(name)
    if (variable && variable.value !== null) found = [name, variable]
  }
  if (!found) return undefined
  const [name, { value, why, isLiteral, line }] = found
  const where = line === undefined ? '' : ` (line ${line})`
  const refuse = (reason: string) =>
    new KeytoolError('unsupported', `${showForeign(host.name, 64)}: ${name} can't be used${where}`, {
      reason,
      hint: `write the value itself, or: ansible-inventory -i FILE --list, and its output as the file of hosts`,
    })
  if (value === undefined || value === null) throw refuse(why ?? 'it is no plain value')
  const text = toText(value)
  if (!isLiteral && /\{[{%#]/.test(text)) {
    throw new KeytoolError('unsupported', `${showForeign(host.name, 64)}: ${name} is a template${where}`, {
      reason: 'templates are never evaluated here',
      hint: `write the value itself into the inventory`,
    })
  }
  return text
}

/** Each host on the way as it would be checked if it was typed. */
function checkJump(jump: string | undefined): string | undefined {
  if (jump === undefined) return undefined
  try {
    for (const hop of readJump(jump, true)) {
      checkHost(hop.host)
      if (hop.user !== undefined) checkUser(hop.user)
    }
    return jump
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause)
    throw new KeytoolError('usage', `${showForeign(jump, 64)} is no way: ${why}`, { cause })
  }
}

function toPort(port: string | number): number {
  // As Python's int() takes it.
  const text = String(port).trim()
  return /^\+?\d(_?\d){0,9}$/.test(text) ? Number(text.replaceAll('_', '')) : Number.NaN
}

function checkPath(path: string): string {
  if (path.length <= 4096 && isPlain(path)) return path
  throw new KeytoolError('usage', 'that is no path of a file')
}

/** What is wrong with a value is the file's fault, and names the host. */
function about<T>(host: Host, what: string, read: () => T): T {
  try {
    return read()
  } catch (cause) {
    if (!(cause instanceof KeytoolError)) throw cause
    const { message, reason, hint, code } = cause
    throw new KeytoolError(
      code === 'usage' ? 'damaged' : code,
      `${showForeign(host.name, 64)}: its ${what} can't be used`,
      {
        reason: reason === undefined ? message : `${message}: ${reason}`,
        ...(hint !== undefined && code !== 'usage' && { hint }),
        cause,
      },
    )
  }
}
