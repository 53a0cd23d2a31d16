import { isAbsolute } from 'node:path'
import { showForeign } from '@keytool/keygen'
import type { Carried, Passed } from '../../sessions/import.js'
import { findToLookAt } from '../../sessions/look-at.js'
import { makeSessionName } from '../../sessions/names.js'
import { checkSession, type Session } from '../../sessions/schema.js'
import { charsetOfCodePage } from './charset.js'
import { readOthers, readPortForwardings } from './forwards.js'
import { findLeftOut } from './left-out.js'
import { type ProxyFound, readProxy } from './proxy.js'
import { numberOf, type SavedSettings, textOf } from './settings.js'

/**
 * Makes a session of PuTTY's settings.
 * @throws KeytoolError `usage` or `damaged` for values that can't be: a host that begins with a dash, control characters
 */
export function sessionFromPutty(settings: SavedSettings): Carried | Passed {
  const protocol = textOf(settings, 'Protocol') || 'ssh'
  if (protocol !== 'ssh') return { passedOver: `it is for ${showForeign(protocol, 40)}, not for SSH` }
  if ([0, 1].includes(numberOf(settings, 'SshProt', 3))) return { passedOver: 'it is for SSH-1' }
  const place = readHost(settings)
  if (place.host === '') return { passedOver: 'it names no host' }

  const proxy = readWay(settings)
  const { jump, proxyCommand } = proxy
  const { forwards, bad } = readForwards(settings)
  const user = place.user ?? textOf(settings, 'UserName')
  const key = textOf(settings, 'PublicKeyFile')
  const weak = textOf(settings, 'KeytoolWeak')
  const alias = textOf(settings, 'LogHost')
  const { charset, unknown } = readCharset(settings)

  const name = makeSessionName(textOf(settings, 'KeytoolName') || settings.name, place.host)
  const session = checkSession({
    version: 1,
    name,
    host: place.host,
    port: numberOf(settings, 'PortNumber', 22),
    ...(user !== '' && { user }),
    ...(charset !== undefined && { charset }),
    ...(key !== '' && { key }),
    forwards,
    ...(jump !== undefined && { jump }),
    ...(proxyCommand !== undefined && { proxyCommand }),
    ...(numberOf(settings, 'AgentFwd', 0) !== 0 && { forwardAgent: true }),
    ...(alias !== '' && !alias.includes(':') && { hostKeyAlias: alias }),
    ...(weak !== '' && { weak: weak.split(',') }),
  })
  const others = findLeftOut(settings, jump !== undefined || proxyCommand !== undefined || proxy.leftOut !== undefined)
  return {
    session,
    leftOut: [
      ...(proxy.leftOut === undefined ? [] : [proxy.leftOut]),
      ...(bad.length > 0 ? [`PortForwardings: ${bad.length} that can't be carried: ${showSome(bad)}`] : []),
      ...(unknown === undefined ? [] : [`LineCodePage: ${unknown} is a character set that is not known here`]),
      ...(place.tail ? ['HostName: what stands behind the colon, as with PuTTY'] : []),
      ...(alias.includes(':') ? ['LogHost: a name with a port'] : []),
      ...others.settings,
    ],
    looks: others.looks,
    lookAt: [...lookAtKey(session), ...findToLookAt(session), ...(proxy.lookAt === undefined ? [] : [proxy.lookAt])],
  }
}

/** As PuTTY takes it apart: a user before the last `@` goes before UserName, a port behind a colon counts for nothing. */
function readHost(settings: SavedSettings): { user?: string; host: string; tail: boolean } {
  const text = textOf(settings, 'HostName').trim()
  const at = text.lastIndexOf('@')
  const host = text.slice(at + 1)
  const [, inside] = /^\[([^\][]*)\](?::\d*)?$/.exec(host) ?? []
  const bare = inside ?? (/^([^:]*):[^:]*$/.exec(host)?.[1] || host)
  return { ...(at > 0 && { user: text.slice(0, at) }), host: bare, tail: inside === undefined && bare !== host }
}

/** A way of ours, which PuTTY could not go, before PuTTY's. */
function readWay(settings: SavedSettings): ProxyFound {
  const jump = textOf(settings, 'KeytoolJump')
  const proxyCommand = textOf(settings, 'KeytoolProxyCommand')
  if (jump === '' && proxyCommand === '') return readProxy(settings)
  return { ...(jump !== '' && { jump }), ...(proxyCommand !== '' && { proxyCommand }) }
}

function readForwards(settings: SavedSettings): { forwards: Session['forwards']; bad: readonly string[] } {
  const held = readPortForwardings(textOf(settings, 'PortForwardings'))
  const others = readOthers(textOf(settings, 'KeytoolForwards'))
  const both = (kind: keyof Session['forwards']) => [...held.forwards[kind], ...others[kind]]
  return {
    forwards: { local: both('local'), remote: both('remote'), dynamic: both('dynamic') },
    bad: [...held.bad, ...others.bad],
  }
}

/** `unknown`: one that is not known here, safe to show. */
function readCharset(settings: SavedSettings): { charset?: string; unknown?: string } {
  const text = textOf(settings, 'LineCodePage')
  if (text === '' || /^use font encoding$/i.test(text)) return {}
  const charset = charsetOfCodePage(text)
  return charset === undefined ? { unknown: showForeign(text, 60) } : { charset }
}

const MAX_SHOWN = 10

/** The first of them. */
function showSome(forwards: readonly string[]): string {
  const more = forwards.length - MAX_SHOWN
  const shown = forwards.slice(0, MAX_SHOWN).map(text => showForeign(text, 80))
  return `${shown.join(', ')}${more > 0 ? ` and ${more} more` : ''}`
}

function lookAtKey({ key }: Session): string[] {
  return key !== undefined && !isAbsolute(key) ? [`the key's path is not of this machine: ${showForeign(key)}`] : []
}
