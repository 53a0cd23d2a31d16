import { fingerprint, isKeytoolError, showForeign } from '@keytool/keygen'
import { formatPlace, greetingIn, knownAs } from '@keytool/tunnel'
import type { Context } from '../../context.js'
import { policyFor } from '../../hosts-of.js'
import { count } from '../../text.js'
import type { Attempt } from './attempt.js'
import { nameHostKey } from './evidence.js'
import { nameKey } from './keys.js'
import type { Step } from './report.js'
import type { Stop } from './stop.js'

/** How far an attempt came: the steps that went well, and the first that did not. */
export async function describeSteps(
  { destination, isLast }: Stop,
  { seen, proof, connection }: Attempt,
  addresses: string | undefined,
  took: number,
  context: Context,
): Promise<Step[]> {
  const at = isLast ? {} : { at: showForeign(destination.host) }
  const steps: Step[] = []
  const add = (step: string, ok: boolean, text: string) => {
    steps.push({ step, ok, text, ...at })
    return ok
  }
  if (addresses !== undefined) add('name', addresses !== '', addresses || 'no address')
  if (addresses === '' && !seen.dialled) return steps
  const place = showForeign(formatPlace(destination.host, destination.port))
  const waited = `after ${took} ms`
  if (!add('connection', seen.dialled, seen.dialled ? `${place} takes it` : `none ${waited}`)) return steps
  const greeting = greetingIn(seen)
  if (!add('greeting', greeting !== undefined, greeting === undefined ? 'none' : showForeign(greeting))) return steps
  if (!add('host key', proof !== undefined, proof ? await describeHostKey(proof.hostKey, destination, context) : '-')) {
    return steps
  }
  const { keys, error } = seen
  if (connection && keys === undefined) {
    add('login', true, `by ${connection.admission.method}`)
    return steps
  }
  const offered = keys ?? []
  const text =
    offered.length === 0
      ? 'none offered'
      : `${count(offered.length, 'key')} offered: ${offered.map(nameKey).join(', ')}`
  if (!add('keys', offered.length > 0, text)) return steps
  const used = offered.find(({ signed }) => signed)
  const by = used ? ` with ${fingerprint(used.key)}` : ''
  add('login', error === undefined, error ? 'no' : `by ${connection?.admission.method}${by}`)
  return steps
}

async function describeHostKey(blob: Buffer, destination: Stop['destination'], context: Context): Promise<string> {
  const name = nameHostKey(blob)
  try {
    const policy = policyFor(destination, { dryRun: true }, context)
    const { host, port } = knownAs(policy, destination.host, destination.port)
    const found = await policy.knownHosts.lookup(host, port, blob)
    return found.state === 'known' ? `${name} (${found.place.file} line ${found.place.line})` : name
  } catch (error) {
    if (!isKeytoolError(error)) throw error
    return name
  }
}
