import { parseForward, type Session } from '@keytool/tunnel'
import type { Context } from '../../context.js'
import { describeSaved } from '../../forwards.js'
import { columns } from '../../text.js'

const kinds = ['local', 'remote', 'dynamic'] as const

/** A session for people, a line a fact. */
export function describeSession(session: Session, { say }: Context): string[] {
  const { charset, key, jump, proxyCommand, forwardAgent, hostKeyAlias, weak } = session
  const rows: (readonly [string, string])[] = [['server', describePlace(session)]]
  if (charset !== undefined) rows.push(['charset', charset])
  if (key !== undefined) rows.push(['key', say.path(key)])
  if (jump !== undefined) rows.push(['by way of', jump])
  if (proxyCommand !== undefined) rows.push(['by command', proxyCommand])
  if (forwardAgent) rows.push(['agent', 'forwarded: the server may use it'])
  if (hostKeyAlias !== undefined) rows.push(['host key of', hostKeyAlias])
  if (weak && weak.length > 0) rows.push(['lets in', weak.join(', ')])
  for (const forward of describeForwards(session)) rows.push(['forward', forward])
  return columns(rows)
}

/** `hana@mail.example port 229`. */
export function describePlace({ user, host, port }: Session): string {
  return `${user === undefined ? '' : `${user}@`}${host} port ${port}`
}

/**
 * All forwards: `1110 -> localhost:110`, `server 8080 -> localhost:80 here`, `1080 -> SOCKS`. Checked here as on the way in:
 * a file may have been edited.
 */
export function describeForwards({ forwards }: Session): string[] {
  return kinds.flatMap(kind => forwards[kind].map(text => describeSaved(parseForward(kind, text))))
}
