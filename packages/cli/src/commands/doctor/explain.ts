import type { AgentClient } from '@keytool/agent'
import { detectPrivate, isKeytoolError, type KeytoolError, nameOfHost, type Signer } from '@keytool/keygen'
import {
  type Cause,
  type Clues,
  type Diagnosis,
  diagnose,
  judge,
  knownAs,
  NoMatch,
  type Observed,
  RevokedHostKey,
} from '@keytool/tunnel'
import type { Context } from '../../context.js'
import { isThere, withFile } from '../../files.js'
import { policyFor } from '../../hosts-of.js'
import type { Way } from '../../way.js'
import type { Attempt } from './attempt.js'
import { findCertificateTrouble, gatherEvidence } from './evidence.js'
import { findRightKey, lookInside } from './inside.js'
import { fileOfKey, loadable } from './keys.js'
import type { DoctorOptions } from './options.js'
import { cluesOf, type Stop } from './stop.js'

/** A login that failed, and all that is needed to look further. */
export interface Failed {
  readonly stop: Stop
  /** The host before it on the way. */
  readonly before: Stop | undefined
  readonly way: Way
  readonly by: Observed['by']
  readonly options: DoctorOptions
  /** The key's file, where one was chosen. */
  readonly chosen: string | undefined
  readonly offered: (agent: AgentClient | undefined) => Promise<readonly Signer[]>
}

/** The one cause of an attempt that failed, and its remedy. */
export async function explainAttempt(failed: Failed, first: Attempt, context: Context): Promise<Diagnosis> {
  const { stop, before, chosen } = failed
  const { destination } = stop
  const { seen } = first
  const certificate = findCertificateTrouble(seen.keys ?? [], destination.user)
  const evidence = gatherEvidence(first, destination, context)
  const cause = await refine(judge(seen, certificate?.kind) ?? 'unknown', failed, first)
  // What a hop does not allow is its own doing.
  const about = cause === 'forward-denied' && before ? before : stop
  const key = chosen ?? (await fileFor(seen, context))
  const clues = cluesOf(about, key, context)
  if (cause === 'key-refused') return lookInside({ ...failed, evidence }, first, context)
  if (cause === 'too-many-keys') return findRightKey({ ...failed, evidence }, context)
  const unusable = await findUnusable(cause, key, context)
  if (unusable) return diagnose(unusable.cause, clues, [...unusable.evidence, ...evidence], unusable.own)
  return diagnose(cause, clues, evidence, ownRemedies[cause]?.(first, failed, clues, context) ?? {})
}

/** What only the files here can tell. */
async function refine(cause: Cause, { chosen }: Failed, { seen }: Attempt): Promise<Cause> {
  if (seen.keysError?.code !== 'not-found' || chosen === undefined) return cause
  const isHere = (await isThere(chosen)) || (await isThere(`${chosen.replace(/\.pub$/, '')}.pub`))
  if (!isHere) return 'key-missing'
  // Its public half alone is here: who holds the other half is the agent.
  return cause === 'key-not-offered' ? 'key-missing' : cause
}

interface Unusable {
  readonly cause: Cause
  readonly evidence: readonly string[]
  readonly own?: { readonly text: string; readonly advice: string; readonly remedy: string }
}

/** A key's file that looks like one from outside: what only its bytes tell. */
async function findUnusable(cause: Cause, key: string | undefined, context: Context): Promise<Unusable | undefined> {
  if (key === undefined) return undefined
  const { say, name } = context
  if (cause === 'key-damaged' && !(await isThere(key)) && (await isThere(`${key}.pub`))) {
    const own = {
      text: `only the public half of ${say.path(key)} is here`,
      advice: 'bring the other half from where it was made; or make a new pair',
      remedy: `${name} gen -f ${say.word(`${key}-new`)}`,
    }
    return { cause: 'key-missing', evidence: [], own }
  }
  if (cause !== 'agent-missing' && cause !== 'agent-empty') return undefined
  try {
    await withFile(key, bytes => detectPrivate(bytes).inspect(bytes))
    return undefined
  } catch (error) {
    if (!isKeytoolError(error)) throw error
    return { cause: 'key-damaged', evidence: [error.message] }
  }
}

/** The file of the key that it is about: the one that was taken, else the only one, else one that could be loaded. */
async function fileFor({ keys = [] }: Observed, context: Context): Promise<string | undefined> {
  const taken = keys.find(each => each.taken)
  const about = taken ?? (keys.length === 1 ? keys[0] : undefined)
  if (about) return fileOfKey(about.key, context)
  return keys.length === 0 ? loadable(context) : undefined
}

type Own = (
  attempt: Attempt,
  failed: Failed,
  clues: Clues,
  context: Context,
) => { readonly text?: string; readonly advice?: string; readonly remedy?: string } | undefined

/** Where more is known than the table can. */
const ownRemedies: Readonly<Partial<Record<Cause, Own>>> = {
  'host-key-unknown': ({ unknownHost }, _failed, { program, again }) =>
    unknownHost === undefined ? undefined : { remedy: `${program} connect --host-key ${unknownHost} ${again}` },
  'host-key-changed': ({ seen }, { stop }, { program, place }, context) => {
    if (seen.error instanceof RevokedHostKey) {
      return {
        text: `the host key of ${place} is revoked: somebody else may have it`,
        advice: 'whoever runs the server has to make another; there, once the old one is moved away',
        remedy: 'ssh-keygen -A',
      }
    }
    const policy = policyFor(stop.destination, { dryRun: true }, context)
    const { host, port } = knownAs(policy, stop.destination.host, stop.destination.port)
    const [file] = policy.knownHosts.hasOwnFiles ? policy.knownHosts.files : []
    const where = file === undefined ? '' : ` -f ${context.say.word(file)}`
    return { remedy: `${program} known-hosts remove ${context.say.word(nameOfHost(host, port))}${where}` }
  },
  'no-common-algorithm': ({ seen: { error, proved } }, _failed, { program, again }) => {
    if (proved)
      return {
        text: `the server takes RSA signatures with SHA-1 only`,
        advice: 'use another type of key',
        remedy: `${program} gen -t ed25519`,
      }
    const letIn = error instanceof NoMatch ? error.letIn : []
    if (letIn.length === 0) return undefined
    return {
      advice: "if it can't be updated, and you know what you do",
      remedy: `${program} connect ${letIn.map(each => `-o ${each} `).join('')}${again}`,
    }
  },
  'key-not-offered': ({ seen }, _failed, { program, again }) =>
    seen.usesKeys
      ? undefined
      : { remedy: `${program} connect -o PubkeyAuthentication=yes -o PreferredAuthentications=publickey ${again}` },
  'key-sealed': ({ seen }) =>
    seen.keysError && { text: "the key's file does not show which key it is without its passphrase" },
  settings: ({ seen }) => hintOf(seen.error),
  'agent-missing': (_attempt, _failed, clues) =>
    clues.key === undefined ? { remedy: `eval "$(${clues.program} agent)" && ${clues.program} gen --add` } : undefined,
  'agent-empty': (_attempt, _failed, clues) =>
    clues.key === undefined ? { advice: 'make a key, and load it', remedy: `${clues.program} gen --add` } : undefined,
}

function hintOf(error: KeytoolError | undefined): { remedy: string } | undefined {
  return isKeytoolError(error) && error.hint !== undefined ? { remedy: error.hint } : undefined
}
