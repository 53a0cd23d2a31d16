import { fingerprint, showForeign } from '@keytool/keygen'
import { type HostRecord, keyIn, RotationStore } from '@keytool/tunnel'
import { count } from '../../text.js'
import type { Here, Suspect, Trace } from './trace.js'

/** What the agent signed with it, for whom, and when last. */
export function findSignatures({ fingerprint: print }: Suspect, { signatures }: Here): Trace[] {
  return (signatures.get(print) ?? []).map(({ user, host, purpose, times, last }) => {
    const account = `${user === undefined ? '' : `${user}@`}${host ?? '?'}`
    const isLogin = purpose === 'login'
    return {
      kind: 'ledger',
      where: showForeign(isLogin ? account : purpose),
      detail: `${count(times, isLogin ? 'login' : 'signature')}, the last on ${last.toISOString().slice(0, 10)}`,
    }
  })
}

/** Rotations from it or to it that are not done, and the hosts they know. */
export async function findJournals(
  { fingerprint: print }: Suspect,
  { context }: Here,
): Promise<{ traces: Trace[]; hosts: HostRecord[] }> {
  const traces: Trace[] = []
  const hosts: HostRecord[] = []
  const { journals, broken } = await new RotationStore(context.places.state).list()
  for (const { message } of broken) context.say.note(`left out: ${context.say.path(message)}`)
  for (const journal of journals) {
    const isOld = fingerprint(keyIn(journal.old)) === print
    if (!isOld && fingerprint(keyIn(journal.new)) !== print) continue
    hosts.push(...journal.hosts)
    const what = isOld
      ? `from it to ${fingerprint(keyIn(journal.new))}`
      : `to it from ${fingerprint(keyIn(journal.old))}`
    const where = `rotation of ${journal.since.slice(0, 10)}`
    traces.push({ kind: 'journal', where, detail: `${what}: ${count(journal.hosts.length, 'host')}` })
  }
  return { traces, hosts }
}
