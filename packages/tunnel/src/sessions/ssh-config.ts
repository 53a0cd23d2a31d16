import { KeytoolError } from '@keytool/keygen'
import { formatPlace, type ListenPlace, parseForward, type TargetPlace } from '../forwards/spec.js'
import type { Session } from './schema.js'

/** Keywords and their arguments, as they stand in the file. */
type Lines = readonly (readonly [keyword: string, text: string])[]

/**
 * A session as a `Host` block of ssh_config(5). What ssh has no option for stands there as a comment.
 * @throws KeytoolError `unsupported` for a value that ssh would read as something else
 */
export function formatSshConfig(session: Session): string {
  const { name, charset, weak } = session
  const comments = [
    ...(charset === undefined ? [] : [`charset ${charset}`]),
    ...(weak && weak.length > 0 ? [`weak ${weak.join(' ')}`] : []),
  ]
  const lines = [...writeLogin(session), ...writeWay(session), ...writeForwards(session)]
  return [
    `Host ${name}`,
    ...lines.map(([keyword, text]) => `  ${keyword} ${text}`),
    ...comments.map(text => `  # keytool: ${text}`),
    '',
  ].join('\n')
}

/** What {@link formatSshConfig} could only leave as a comment, in words. */
export function notInSshConfig({ charset, weak }: Session): string[] {
  return [
    ...(charset === undefined ? [] : [`the charset ${charset}`]),
    ...(weak && weak.length > 0 ? [`the weak algorithms ${weak.join(', ')}`] : []),
  ]
}

function writeLogin({ host, port, user, key }: Session): Lines {
  return [
    ['HostName', quote(withPercents(host))],
    ['Port', String(port)],
    ...pair('User', user === undefined ? undefined : quote(checkUserText(user))),
    ...pair('IdentityFile', key === undefined ? undefined : quote(withPercents(checkVariables(key)))),
    // As a session means it: this key, and no other that an agent may hold.
    ...pair('IdentitiesOnly', key === undefined ? undefined : 'yes'),
  ]
}

function writeWay({ jump, proxyCommand, forwardAgent, hostKeyAlias }: Session): Lines {
  return [
    // These two take the rest of their line as it stands.
    ...pair('ProxyJump', jump),
    ...pair('ProxyCommand', proxyCommand),
    ...pair('ForwardAgent', forwardAgent ? 'yes' : undefined),
    ...pair('HostKeyAlias', hostKeyAlias),
  ]
}

function writeForwards({ forwards }: Session): Lines {
  return [
    ...forwards.local.map(text => {
      const { listen, to } = parseForward('local', text)
      return ['LocalForward', `${writeListen(listen)} ${writeTarget(to)}`] as const
    }),
    ...forwards.remote.map(text => {
      const { listen, to } = parseForward('remote', text)
      return ['RemoteForward', [writeListen(listen), ...(to ? [writeTarget(to)] : [])].join(' ')] as const
    }),
    ...forwards.dynamic.map(text => ['DynamicForward', writeListen(parseForward('dynamic', text).listen)] as const),
  ]
}

function writeListen(listen: ListenPlace): string {
  if ('path' in listen) return writePath(listen.path)
  return listen.bind === undefined ? String(listen.port) : formatPlace(listen.bind, listen.port)
}

function writeTarget(to: TargetPlace): string {
  return 'path' in to ? writePath(to.path) : formatPlace(to.host, to.port)
}

function writePath(path: string): string {
  // A backslash means two things there, one after the other; nobody needs it enough to find out.
  if (/[\\":]/.test(path)) throw unwritable(path)
  return quote(withPercents(checkVariables(path)))
}

function pair(keyword: string, text: string | undefined): Lines {
  return text === undefined ? [] : [[keyword, text]]
}

/** In quotes where there is a blank, a `#` or a backslash: then nothing in it ends the word. */
function quote(text: string): string {
  return /^[\w.:@%+,/~*[\]-]+$/.test(text) ? text : `"${text.replace(/[\\"]/g, '\\$&')}"`
}

/** ssh puts something in for a percent sign and a letter. */
function withPercents(text: string): string {
  return text.replaceAll('%', '%%')
}

/** And for `${NAME}`, which nothing keeps it from. */
function checkVariables(text: string): string {
  if (text.includes('${')) throw unwritable(text)
  return text
}

/** Older versions take a user's name as it stands, newer ones put something in for its percent signs. */
function checkUserText(user: string): string {
  if (/%/.test(user)) throw unwritable(user)
  return checkVariables(user)
}

function unwritable(text: string): KeytoolError {
  return new KeytoolError('unsupported', `${JSON.stringify(text)} can't stand in a file for ssh`, {
    reason: 'ssh would read something else',
  })
}
