import { showForeign } from '@keytool/keygen'
import type { Run } from '../../context.js'
import { parse } from '../../options.js'
import { columns } from '../../text.js'
import {
  type HostOptions,
  hostOptions,
  namedBySession,
  notKnown,
  openNamed,
  parseHost,
  showPlace,
  toFacts,
} from './named.js'

const usage = {
  command: 'known-hosts list',
  takes: '[host]',
  summary: [
    'List what is known of a host: HOST, HOST:PORT, [HOST]:PORT or a saved session. Without one, of all hosts.',
    'Hidden names and patterns count where a host is named.',
  ].join('\n'),
  examples: ['known-hosts list web1', 'known-hosts list -p 2222 web1', 'known-hosts list --json'],
  options: hostOptions,
} as const

export const run: Run = async (args, context) => {
  const parsed = parse<HostOptions>(usage, args, context)
  if (!parsed) return 0
  const { say } = context
  const { options } = parsed
  const [word] = parsed.words
  const knownHosts = openNamed(options, context)
  const named = word === undefined ? undefined : parseHost(word, options)
  let found = await knownHosts.list(named?.host, named?.port)
  const session = named && word !== undefined && found.length === 0 ? await namedBySession(word, context) : undefined
  if (session) found = await knownHosts.list(session.host, session.port)
  if (named && found.length === 0) throw await notKnown(session ?? named, knownHosts)
  const rows = found.map(each => [
    showForeign(each.hosts, 60),
    each.marker === undefined ? each.keyType : `@${each.marker} ${each.keyType}`,
    each.fingerprint,
    showPlace(each),
  ])
  for (const row of columns(rows)) say.line(row)
  if (found.length === 0) say.note('no host is known yet')
  say.facts(found.map(each => toFacts(each, context)))
  return 0
}
