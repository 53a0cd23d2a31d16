import { type AgentClient, createHosts, type Identity, type KeyReport, type KeyRule, publicKeyOf } from '@keytool/agent'
import { fingerprint, fingerprintLine, KeytoolError, showForeign, typeOfBlob } from '@keytool/keygen'
import { withAgent } from '../agent-link.js'
import type { Context, Run } from '../context.js'
import { showDuration } from '../duration.js'
import { publicHalf } from '../files.js'
import { isLocked, type ReportsOf, readReports, refuseLocked } from '../held-keys.js'
import { readRules } from '../login-keys.js'
import { parse } from '../options.js'
import { describeDestinations, describeTerms } from '../terms.js'

const usage = {
  command: 'list',
  summary: "List the agent's keys. A locked agent shows none.",
  examples: ['list', 'list --json', 'list --for github.com'],
  options: [['--for <host>', 'the order in which this host is offered them, and why: HOST, USER@HOST or [HOST]:PORT']],
} as const

export const run: Run = async (args, context) => {
  const parsed = parse<{ for?: string }>(usage, args, context)
  if (!parsed) return 0
  const { say } = context
  const { for: host } = parsed.options
  return withAgent(context, async agent => {
    if (host !== undefined) return listFor(host, agent, context)
    const identities = await agent.list()
    const reportOf = await withRules(await readReports(agent), context)
    for (const identity of identities) say.line([describe(identity), ...describeReport(reportOf(identity))].join(', '))
    if (identities.length === 0) say.note(await describeNone(agent, context))
    say.facts(identities.map(identity => toFacts(identity, reportOf(identity))))
    return 0
  })
}

/** agent.json says which passphrases the keychain has; a file of it that is wrong says nothing here. */
async function withRules(reportOf: ReportsOf, context: Context): Promise<ReportsOf> {
  const rules = await readRules(context).catch(() => [])
  const remembered = new Set(await Promise.all(rules.filter(rule => rule.remember).map(fingerprintOfRule)))
  return identity => {
    const report = reportOf(identity)
    if (!report || report.origin === 'upstream') return report
    return { ...report, remembered: remembered.has(fingerprint(publicKeyOf(identity) ?? identity)) }
  }
}

async function fingerprintOfRule({ fingerprint: print, file }: KeyRule): Promise<string | undefined> {
  if (print !== undefined || file === undefined) return print
  const key = await publicHalf(file).catch(() => undefined)
  return key && fingerprint(key)
}

async function describeNone(agent: AgentClient, { name }: Context): Promise<string> {
  const locked = await isLocked(agent)
  if (locked === undefined) return 'the agent shows no keys: it has none, or it is locked'
  return locked ? `the agent is locked and shows no keys: ${name} unlock` : 'the agent has no keys'
}

/** A type that is not in our table still has a name and a fingerprint. */
function describe(identity: Identity): string {
  const key = publicKeyOf(identity)
  return showForeign(
    key
      ? fingerprintLine(key)
      : `${fingerprint(identity)} ${identity.comment || 'no comment'} (${typeOfBlob(identity.blob) ?? 'unknown'})`,
  )
}

function describeReport(report: KeyReport | undefined): string[] {
  if (!report) return []
  const { state, origin, left, lifetime: _, ...others } = report
  return [
    ...(state === 'sealed' ? ['sealed'] : []),
    ...(others.remembered ? ['remembered'] : []),
    ...(origin === 'upstream' ? ['from the agent behind'] : []),
    ...(left === null ? [] : [`${showDuration(left)} left`]),
    ...describeTerms({
      ...(others.idle !== null && { idle: others.idle }),
      confirm: others.confirm,
    }),
    ...describeDestinations(others.destinations),
  ]
}

function toFacts(identity: Identity, report: KeyReport | undefined): object {
  const { blob: _, ...held } = report ?? {}
  return {
    fingerprint: fingerprint(publicKeyOf(identity) ?? identity),
    type: typeOfBlob(identity.blob) ?? 'unknown',
    bits: publicKeyOf(identity)?.bits ?? null,
    comment: identity.comment,
    // What the protocol does not tell of another program's agent is left out.
    ...held,
  }
}

/** What a host with the keys that known_hosts has for this name would be offered, in that order. */
async function listFor(word: string, agent: AgentClient, context: Context): Promise<number> {
  const { say, places } = context
  const host = word.replace(/^[^@]*@/, '')
  const keys = await createHosts({ home: places.home }).keysOf(host)
  if (keys.length === 0) {
    const [, bare, port] = /^([^[\]:]+):(\d+)$/.exec(host) ?? []
    throw new KeytoolError('not-found', `known_hosts has no key for ${host}`, {
      reason: 'the agent knows a host by its key only',
      hint: port === undefined ? `connect to ${host} once first` : `write a port as [${bare}]:${port}`,
    })
  }
  if (!(await agent.supports('list-for@keytool'))) {
    throw new KeytoolError('failed', "the agent is another program's, which learns no order")
  }
  await refuseLocked(agent)
  const order = await agent.orderFor(keys.map(({ key }) => key.blob))
  for (const { fingerprint: print, comment, why } of order) {
    say.line(showForeign(`${print} ${comment}${why === null ? '' : `, ${why}`}`))
  }
  if (order.length === 0) say.note(`no key would be offered to ${showForeign(host)}`)
  say.facts(order)
  return 0
}
