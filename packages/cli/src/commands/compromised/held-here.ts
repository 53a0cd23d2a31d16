import { publicKeyOf } from '@keytool/agent'
import { fingerprint, KeytoolError, showForeign } from '@keytool/keygen'
import { isLocked, readReports } from '../../held-keys.js'
import type { Here, Suspect, Trace } from './trace.js'

const kinds = { private: 'private key', public: 'public half', certificate: 'certificate' } as const

/** Its files. They stay: whoever looks into what happened may need them, and only their user knows of copies. */
export function findFiles({ fingerprint: print }: Suspect, { files, context }: Here): Trace[] {
  return files
    .filter(({ what }) => what.public && fingerprint(what.public) === print)
    .map(({ path, what }) => ({ kind: 'file', where: context.say.path(path), detail: kinds[what.kind] }))
}

/** What agents hold of it: the key, and certificates of it. */
export async function findHeld({ fingerprint: print }: Suspect, { agents, context }: Here): Promise<Trace[]> {
  const found: Trace[] = []
  for (const agent of agents) {
    const where = context.say.path(agent.path)
    if (await isLocked(agent)) {
      found.push({ kind: 'agent', where, detail: 'locked: what it holds is not known', remove: () => refuse(where) })
      continue
    }
    const reportOf = await readReports(agent)
    for (const identity of await agent.list()) {
      const key = publicKeyOf(identity)
      if (fingerprint(key ?? identity) !== print) continue
      const what = key?.algorithm.certifies ? 'certificate' : 'key'
      const comment = showForeign(identity.comment, 60)
      const isUpstream = reportOf(identity)?.origin === 'upstream'
      const detail = `${isUpstream ? `${what} of the agent behind it` : what}${comment && `, ${comment}`}`
      const remove = isUpstream ? () => refuseOther(where) : () => agent.remove(identity.blob)
      found.push({ kind: 'agent', where, detail, remove })
    }
  }
  return found
}

async function refuse(where: string): Promise<never> {
  throw new KeytoolError('refused', `the agent at ${where} is locked`, { hint: 'keytool unlock, then the same again' })
}

async function refuseOther(where: string): Promise<never> {
  throw new KeytoolError('refused', `the agent at ${where} has it from another agent`, {
    hint: 'remove it in the program that holds it',
  })
}
