import { formatForward, parseForward } from '../../forwards/spec.js'
import type { Session } from '../../sessions/schema.js'
import { codePageOfCharset } from './charset.js'
import { writeOthers, writePortForwardings } from './forwards.js'
import { writeProxy } from './proxy.js'
import { formatRegistry } from './registry.js'

type Values = Map<string, string | number>

/** A session in PuTTY's settings, and what of it PuTTY does not understand, as it may be shown. */
export interface ForPutty {
  readonly name: string
  readonly values: ReadonlyMap<string, string | number>
  readonly leftOut: readonly string[]
}

const SESSIONS = 'HKEY_CURRENT_USER\\Software\\SimonTatham\\PuTTY\\Sessions'

/**
 * A session in PuTTY's settings. What PuTTY has no setting for stands beside them under names that begin with `Keytool`:
 * PuTTY passes over them, and an import here reads them back.
 */
export function puttyFromSession(session: Session): ForPutty {
  const { name, host, port, user, charset, key, jump, proxyCommand, forwardAgent, hostKeyAlias, weak } = session
  const { text, others } = writePortForwardings(session)
  const proxy = jump === undefined && proxyCommand === undefined ? new Map() : writeProxy(session)
  const ours = new Map<string, string>()
  if (!proxy && jump !== undefined) ours.set('KeytoolJump', jump)
  if (!proxy && proxyCommand !== undefined) ours.set('KeytoolProxyCommand', proxyCommand)
  if (others.length > 0) ours.set('KeytoolForwards', writeOthers(others))
  if (weak && weak.length > 0) ours.set('KeytoolWeak', weak.join(','))
  const values: Values = new Map<string, string | number>([
    ['Present', 1],
    ['HostName', host],
    ['Protocol', 'ssh'],
    ['PortNumber', port],
    ['UserName', user ?? ''],
    ['PublicKeyFile', key ?? ''],
    ['LineCodePage', charset === undefined ? '' : codePageOfCharset(charset)],
    ['PortForwardings', text],
    ['AgentFwd', forwardAgent ? 1 : 0],
    ['LogHost', hostKeyAlias ?? ''],
    ...(proxy ?? []),
    ...ours,
  ])
  const words: Readonly<Record<string, string>> = {
    KeytoolJump: `the way over ${jump}`,
    KeytoolProxyCommand: 'the proxy command',
    KeytoolForwards: others.map(text => showOther(text)).join(', '),
    KeytoolWeak: `the weak algorithms ${weak?.join(', ')}`,
  }
  return { name, values, leftOut: [...ours.keys()].map(each => words[each] ?? each) }
}

/** A registry export for regedit: UTF-16LE, CRLF. Throws `unsupported` for text that could break out of its line. */
export function formatPuttyRegistry(sessions: readonly ForPutty[]): Buffer {
  return formatRegistry(sessions.map(({ name, values }) => ({ path: `${SESSIONS}\\${name}`, values })))
}

/** A session's file as PuTTY on Unix reads it from `~/.putty/sessions`. No value has a line's end in it. */
export function formatPuttySession({ values }: ForPutty): Buffer {
  return Buffer.from([...values].map(([name, value]) => `${name}=${value}\n`).join(''))
}

function showOther(text: string): string {
  const kind = ({ L: 'local', R: 'remote', D: 'dynamic' } as const)[text.slice(0, 1) as 'L' | 'R' | 'D']
  return `-${text.slice(0, 1)} ${formatForward(parseForward(kind, text.slice(1)))}`
}
