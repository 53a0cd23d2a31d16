import { isPlain, KeytoolError, type PublicKey } from '@keytool/keygen'
import type { Destination, Hop } from '../terms.js'

/** A destination as people write it: `[user@]host`, or `host1>[user@]host2`. */
export interface DestinationSpec {
  /** Absent: from the machine that the agent runs on. */
  readonly from?: { readonly host: string }
  readonly to: {
    /** A pattern of `*` and `?`. Empty: anybody. */
    readonly user: string
    /** As known_hosts has it: `web1`, `192.0.2.1`, `[web1]:2222`. */
    readonly host: string
  }
}

/**
 * The keys that a host is known by, its own and those of authorities (`@cert-authority`), without revoked ones.
 * @param host the name to look for in known_hosts, in small letters
 */
export type LookupHost = (
  host: string,
) => Promise<readonly { readonly key: PublicKey; readonly isAuthority: boolean }[]>

/** As OpenSSH's agent takes it, in bytes. */
const MAX_USER = 256
const ORIGIN: Hop = { user: '', host: '', keys: [] }
const SHAPE = 'write it as HOST, USER@HOST or HOST1>USER@HOST2'

/**
 * Reads what `ssh-add -h` takes. What ssh-add lets pass and every agent refuses is refused here: a user without a host,
 * and a pattern of a user that is too long. So is `@host`, which there means anybody.
 * @throws KeytoolError `usage`
 */
export function parseDestination(text: string): DestinationSpec {
  if (!isPlain(text)) throw usage('a destination holds a control or invisible character', SHAPE)
  const [first = '', second, more] = text.split('>', 3)
  if (more !== undefined) throw usage(`${text} has more than one step`, 'write one destination for each step')
  if (second === undefined) return { to: parseHop(first, text) }
  const from = parseHop(first, text)
  if (from.user !== '') {
    throw usage(
      `${text} names a user at the host it leads from`,
      `only the second may have one: ${from.host}>${second}`,
    )
  }
  return { from: { host: from.host }, to: parseHop(second, text) }
}

/**
 * Puts in the keys by which the agent will know the hosts.
 * @throws KeytoolError `not-found` when a host has none, and whatever `lookup` rejects with
 */
export async function resolveDestination({ from, to }: DestinationSpec, lookup: LookupHost): Promise<Destination> {
  return {
    from: from ? { ...ORIGIN, host: from.host, keys: await findKeys(from.host, lookup) } : ORIGIN,
    to: { ...to, keys: await findKeys(to.host, lookup) },
  }
}

/** A user may hold an `@` itself, as some directories have it: the last one counts. */
function parseHop(hop: string, text: string): DestinationSpec['to'] {
  const at = hop.lastIndexOf('@')
  const user = hop.slice(0, Math.max(at, 0))
  const host = withoutBrackets(hop.slice(at + 1))
  if (host === '') throw usage(`${text === '' ? 'an empty word' : text} does not say which host`, SHAPE)
  if (at === 0) throw usage(`${text} has no user before its @`, `for any user: ${host}`)
  if (/\s/.test(host)) throw usage(`${text} has a blank in the name of a host`, SHAPE)
  if (Buffer.byteLength(user) > MAX_USER) throw usage(`a user's pattern is longer than ${MAX_USER} bytes`, SHAPE)
  return { user, host }
}

/** `[::1]` is `::1`; the brackets of `[web1]:2222` belong to it, as in known_hosts. */
function withoutBrackets(host: string): string {
  return host.startsWith('[') && host.endsWith(']') ? host.slice(1, -1) : host
}

async function findKeys(host: string, lookup: LookupHost): Promise<Hop['keys']> {
  const found = await lookup(host.toLowerCase())
  if (found.length === 0) {
    const withPort = /^([^:[\]]+):(\d+)$/.exec(host)
    throw new KeytoolError('not-found', `known_hosts has no key for ${host}`, {
      reason: 'the agent knows a host by its key only',
      hint: withPort ? `write a port as [${withPort[1]}]:${withPort[2]}` : `connect to ${host} once first`,
    })
  }
  // The same key may stand on several lines; the agent's message has a limit.
  const byKey = new Map(found.map(each => [`${each.isAuthority} ${each.key.blob.toString('base64')}`, each]))
  return [...byKey.values()].map(({ key, isAuthority }) => ({ key, isAuthority }))
}

function usage(message: string, hint: string): KeytoolError {
  return new KeytoolError('usage', message, { hint })
}
