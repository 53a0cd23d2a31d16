import type { Duplex } from 'node:stream'
import type { Environment } from '@keytool/agent/platform'
import { KeytoolError, showForeign } from '@keytool/keygen'
import { expand } from '../config/ssh-config/tokens.js'
import { isHarmlessHost, isHarmlessUser } from '../config/ssh-config/valid.js'
import { startCommand } from './command-stream.js'

/** What a ProxyCommand's tokens stand for. */
export interface CommandTarget {
  /** `%h`: where to go. */
  readonly host: string
  /** `%p`: 1 to 65535. */
  readonly port: number
  /** `%r`: who logs in there. */
  readonly user: string
  /** `%n`: the host as it was typed. Default `host`. */
  readonly typedHost?: string | undefined
  /** `%k`: the name its keys are kept under. Default what was typed. */
  readonly hostKeyAlias?: string | undefined
}

export interface CommandDialOptions extends CommandTarget {
  /** Until the command has said something. */
  readonly signal?: AbortSignal | undefined
  /** The command's environment, and the shell in it (`SHELL`, else `/bin/sh`). */
  readonly env: Environment
  /** Each line the command writes on standard error, ready to be shown. */
  readonly onStderr?: (line: string) => void
}

/**
 * Puts a target into a ProxyCommand (ssh_config(5), TOKENS: `%%`, `%h`, `%k`, `%n`, `%p`, `%r`). The command is the user's own
 * and may be anything; names may come from anywhere, so one that means something to a shell is not put in.
 * @throws KeytoolError `refused` for such a name, `usage` for another token
 */
export function expandProxyCommand(command: string, target: CommandTarget): string {
  const { host, port, user, typedHost = host, hostKeyAlias = typedHost } = target
  const tokens = { h: host, k: hostKeyAlias, n: typedHost, p: String(port), r: user }
  for (const [letter, value] of Object.entries(tokens)) {
    if (!isUsed(command, letter) || (letter === 'r' ? isHarmlessUser(value) : isHarmlessHost(value))) continue
    throw new KeytoolError('refused', `"${showForeign(value, 64)}" is not put into the ProxyCommand`, {
      reason: 'it has characters that mean something to a shell',
    })
  }
  try {
    return expand(command, { tokens })
  } catch (cause) {
    if (!(cause instanceof SyntaxError)) throw cause
    throw new KeytoolError('usage', `the ProxyCommand can't be run: ${cause.message}`, { cause })
  }
}

/**
 * Runs a ProxyCommand and gives its standard input and output as the way to the server, as ssh does. It runs in the user's
 * shell, in a session and process group of its own: it has no terminal to ask on, and all of it ends with the stream
 * (SIGHUP and SIGTERM, after 2 s SIGKILL); `close` comes when it has. An end of its output is an end; a command that fails
 * destroys the stream with `unreachable`, its exit status and its last words.
 * @throws KeytoolError as {@link expandProxyCommand}; `cancelled` by the signal; `unsupported` for a command of `-`, which
 * is this program's own input and output to ssh; `failed` when there is no such shell
 */
export async function dialByCommand(command: string, options: CommandDialOptions): Promise<Duplex> {
  const text = command.trim()
  if (text === '' || text.toLowerCase() === 'none') throw new KeytoolError('usage', 'there is no ProxyCommand to run')
  if (text.includes('\0')) throw new KeytoolError('usage', 'a ProxyCommand has no zero byte')
  if (text === '-') throw new KeytoolError('unsupported', 'a ProxyCommand of - is not carried')
  const line = `exec ${expandProxyCommand(text, options)}`
  return startCommand(options.env['SHELL'] || '/bin/sh', line, options)
}

function isUsed(command: string, letter: string): boolean {
  return command.replaceAll('%%', '').includes(`%${letter}`)
}
