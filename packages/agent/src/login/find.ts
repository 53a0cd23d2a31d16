import { secureHeapArguments } from '../platform/node-arguments.js'
import { type FoundFile, type LoginDisk, loginDisk } from './disk.js'
import { loginKindsOf } from './kinds.js'
import type { LoginFacts, LoginKind, LoginKindName, LoginPlan } from './service.js'

/**
 * `ready`: as this program would write it; `edited`: changed by its user, and still about this program; `disabled`:
 * written, but not in force; `incomplete`: a file is missing; `outdated`: about another place of this program, or written
 * by another version; `unreadable`: it can't be looked at, or something else stands there.
 */
export type LoginState = 'ready' | 'edited' | 'disabled' | 'incomplete' | 'outdated' | 'unreadable'

export interface LoginService {
  readonly kind: LoginKindName | 'none'
  /** Absent where there is none. */
  readonly state?: LoginState
  /** Whether it starts this program. */
  readonly fits: boolean
  /** Its files that are there. */
  readonly paths: readonly string[]
}

/** What starts the agent at login: of several the first that {@link loginKindsOf} names. Runs nothing. Never rejects. */
export async function findLoginService(facts: LoginFacts, disk: LoginDisk = loginDisk): Promise<LoginService> {
  for (const kind of loginKindsOf(facts.system)) {
    const found = await findKind(kind, facts, disk)
    if (found) return found
  }
  return { kind: 'none', fits: true, paths: [] }
}

async function findKind(kind: LoginKind, facts: LoginFacts, disk: LoginDisk): Promise<LoginService | undefined> {
  const { name } = kind
  let plan: LoginPlan
  try {
    plan = kind.plan(facts)
  } catch {
    // Where nothing could be written, nothing is.
    return undefined
  }
  try {
    const files = await lookAtLikeliest(kind, facts, disk)
    const there = files.filter(({ state }) => state !== 'missing' && state !== 'foreign')
    if (there.length === 0) return undefined
    const isEnabled = plan.link === undefined || (await disk.isThere(plan.link))
    const state = there.length < files.length ? 'incomplete' : stateOf(files, isEnabled)
    const fits = state === 'ready' || state === 'edited'
    return { kind: name, state, fits, paths: there.map(({ file }) => file.path) }
  } catch {
    const paths = await whatIsThere(plan, disk)
    return paths.length > 0 ? { kind: name, state: 'unreadable', fits: false, paths } : undefined
  }
}

/** What can't be looked at may be a link, or another user's. */
async function whatIsThere({ files }: LoginPlan, disk: LoginDisk): Promise<string[]> {
  const found: string[] = []
  for (const { path } of files) if (await disk.isThere(path).catch(() => false)) found.push(path)
  return found
}

/** How much memory may be locked may have been otherwise where it was written: either way it is the same program. */
async function lookAtLikeliest(kind: LoginKind, facts: LoginFacts, disk: LoginDisk): Promise<FoundFile[]> {
  const heap = secureHeapArguments(facts.system, Number.POSITIVE_INFINITY)
  const bare = facts.nodeArguments.filter(each => !heap.includes(each))
  let best: FoundFile[] = []
  for (const nodeArguments of [[...heap, ...bare], bare]) {
    const found: FoundFile[] = []
    for (const file of kind.plan({ ...facts, nodeArguments }).files) found.push(await disk.look(file))
    if (best.length === 0 || goodOnes(found) > goodOnes(best)) best = found
  }
  return best
}

function goodOnes(files: readonly FoundFile[]): number {
  return files.filter(({ state, namesProgram }) => state === 'same' || namesProgram).length
}

function stateOf(files: readonly FoundFile[], isEnabled: boolean): LoginState {
  if (files.some(({ state, namesProgram }) => state === 'outdated' || !namesProgram)) return 'outdated'
  if (!isEnabled) return 'disabled'
  return files.some(({ state }) => state === 'edited') ? 'edited' : 'ready'
}
