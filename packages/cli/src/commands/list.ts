import { type AgentClient, createHosts, type Identity, type KeyReport, publicKeyOf } from '@keytool/agent'
import { fingerprint, fingerprintLine, KeytoolError, showForeign, typeOfBlob } from '@keytool/keygen'
import { withAgent } from '../agent-link.js'
import type { Context, Run } from '../context.js'
import { showDuration } from '../duration.js'
import { parse } from '../options.js'
import { describeTerms } from '../terms.js'

const usage = {
  command: 'list',
  summary: "List the agent's keys. A locked agent shows none.",
  examples: ['list', 'list --json', 'list --for git@github.com'],
  options: [['--for <host>', 'the order in which this host is offered them, and what is learnt of it']],
} as const

export const run: Run = async (args, context) => {
  const parsed = parse<{ for?: string }>(usage, args, context)
  if (!parsed) return 0
  const { say } = context
  const { for: host } = parsed.options
  return withAgent(context, async agent => {
    if (host !== undefined) return listFor(host, agent, context)
    const identities = await agent.list()
    const reports = await reportsOf(agent)
    for (const identity of identities) say.line([describe(identity), ...describeReport(reports?.(identity))].join(', '))
    if (identities.length === 0) say.note('the agent shows no keys: it has none, or it is locked')
    say.facts(identities.map(identity => toFacts(identity, reports?.(identity))))
    return 0
  })
}

/** How each key is held: only our own agent tells. */
async function reportsOf(agent: AgentClient): Promise<((identity: Identity) => KeyReport | undefined) | undefined> {
  if (!(await agent.supports('list@keytool'))) return undefined
  const byBlob = new Map((await agent.reports()).map(report => [report.blob, report]))
  return ({ blob }) => byBlob.get(blob.toString('base64'))
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
    ...(origin === 'upstream' ? ['from the agent behind'] : []),
    ...(left === null ? [] : [`${showDuration(left)} left`]),
    ...describeTerms({
      ...(others.idle !== null && { idle: others.idle }),
      confirm: others.confirm,
    }),
    ...others.destinations.map(showForeign),
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
    throw new KeytoolError('not-found', `known_hosts has no key of ${host}`, {
      hint: 'log in there once, so that its host key is noted',
    })
  }
  if (!(await agent.supports('list-for@keytool'))) {
    throw new KeytoolError('failed', "the agent is another program's, which learns no order")
  }
  const order = await agent.orderFor(keys.map(({ key }) => key.blob))
  for (const { fingerprint: print, comment, why } of order) {
    say.line(showForeign(`${print} ${comment}${why === null ? '' : `, ${why}`}`))
  }
  if (order.length === 0) say.note(`no key would be offered to ${showForeign(host)}`)
  say.facts(order)
  return 0
}
