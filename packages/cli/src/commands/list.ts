import { type Identity, publicKeyOf } from '@keytool/agent'
import { fingerprint, fingerprintLine, showForeign, typeOfBlob } from '@keytool/keygen'
import { isOurs, withAgent } from '../agent-link.js'
import type { Run } from '../context.js'
import { parse } from '../options.js'

const usage = {
  command: 'list',
  summary: "List the agent's keys. A locked agent shows none.",
  examples: ['list', 'list --json'],
} as const

export const run: Run = async (args, context) => {
  const parsed = parse(usage, args, context)
  if (!parsed) return 0
  const { say } = context
  return withAgent(context, async agent => {
    const identities = await agent.list()
    for (const identity of identities) say.line(describe(identity))
    if (identities.length === 0) say.note('the agent shows no keys: it has none, or it is locked')
    if (say.json) {
      const ours = await isOurs(agent)
      say.facts(identities.map(identity => toFacts(identity, ours)))
    }
    return 0
  })
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

function toFacts(identity: Identity, ours: boolean): object {
  return {
    fingerprint: fingerprint(publicKeyOf(identity) ?? identity),
    type: typeOfBlob(identity.blob) ?? 'unknown',
    bits: publicKeyOf(identity)?.bits ?? null,
    comment: identity.comment,
    // The protocol does not tell these. Our agent of this version holds open keys without conditions; another's may differ.
    ...(ours && {
      state: 'open',
      lifetime: null,
      confirm: false,
      destinations: [],
      origin: 'added',
      remembered: false,
    }),
  }
}
