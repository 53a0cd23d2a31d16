import { KeytoolError, nameOfHost, showForeign } from '@keytool/keygen'
import { type Forgotten, forgetHost, type KnownHost, type KnownHosts } from '@keytool/tunnel'
import type { Context, Run } from '../../context.js'
import { parse } from '../../options.js'
import {
  type HostOptions,
  hostOptions,
  type Named,
  namedBySession,
  notKnown,
  openNamed,
  parseHost,
  showPlace,
  toFacts,
} from './named.js'

const usage = {
  command: 'known-hosts remove',
  takes: '<host>',
  summary: [
    "Remove a host's keys from known_hosts: HOST, HOST:PORT, [HOST]:PORT or a saved session. Its key is asked about again.",
    'Other names on a line stay, and so do patterns, authorities and revoked keys. The file as it was is kept beside it as .old.',
  ].join('\n'),
  examples: ['known-hosts remove web1', "known-hosts remove '[web1]:2222'", 'known-hosts remove -p 2222 web1'],
  options: hostOptions,
} as const

export const run: Run = async (args, context) => {
  const parsed = parse<HostOptions>(usage, args, context)
  if (!parsed) return 0
  const { options } = parsed
  const [word = ''] = parsed.words
  const knownHosts = openNamed(options, context)
  const named = await findNamed(word, parseHost(word, options), knownHosts, context)
  const forgotten = await forgetHost(knownHosts, named.host, named.port)
  if (forgotten.removed.length === 0) throw await nothingRemoved(named, forgotten, knownHosts)
  tell(forgotten, context)
  const host = nameOfHost(named.host, named.port)
  const { removed, left, old } = forgotten
  const facts = (lines: readonly KnownHost[]) => lines.map(each => toFacts(each, context))
  context.say.facts({ host, removed: facts(removed), left: facts(left), old })
  return 0
}

/** What the files know by the word itself goes before a session of that name. */
async function findNamed(word: string, named: Named, knownHosts: KnownHosts, context: Context): Promise<Named> {
  if ((await knownHosts.list(named.host, named.port)).length > 0) return named
  return (await namedBySession(word, context)) ?? named
}

async function nothingRemoved(named: Named, { left }: Forgotten, knownHosts: KnownHosts): Promise<KeytoolError> {
  const [first] = left.filter(({ marker }) => marker === undefined)
  if (!first) return notKnown(named, knownHosts)
  const name = showForeign(nameOfHost(named.host, named.port))
  return new KeytoolError('refused', `the line about ${name} is not its own`, {
    reason: `${showForeign(first.hosts, 60)}  (${showPlace(first)}); nothing was changed`,
    hint: 'correct that line yourself: other hosts may depend on it',
  })
}

function tell({ removed, left, old }: Forgotten, { say }: Context): void {
  for (const each of removed) say.done(`removed ${each.keyType} ${each.fingerprint}  (${showPlace(each)})`)
  for (const each of left) say.note(`${whatStays(each)}  (${showPlace(each)})`)
  for (const path of old) say.line(`the file as it was: ${say.path(path)}`)
}

function whatStays({ marker, hosts, fingerprint }: KnownHost): string {
  const what = marker === undefined ? 'key' : marker === 'revoked' ? 'revoked key' : 'authority'
  return `still there: the ${what} ${fingerprint} for ${showForeign(hosts, 60)}`
}
