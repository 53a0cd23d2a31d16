import {
  chooseLoginKind,
  installLogin,
  type LoginKind,
  type LoginKindName,
  type LoginReport,
  type LoginSubject,
  uninstallLogin,
} from '@keytool/agent'
import { KeytoolError } from '@keytool/keygen'
import type { Context } from '../context.js'
import { checkKind, kindsThere, worldOf } from '../login-service.js'
import type { SetupFlags } from './options.js'

// What agent and tunnel have in common that are started at login.

export interface AtLogin {
  readonly kind: LoginKind
  /** Whether it is all there already. */
  readonly isThere: boolean
}

/** The kind that was asked for. @throws KeytoolError `usage` */
export function kindOf(word: string | undefined): LoginKindName | undefined {
  const wanted = checkKind(word)
  if (wanted !== 'shell') return wanted
  throw new KeytoolError('usage', '--kind shell is for agent install and tunnel install, which print a line', {
    hint: 'leave it out, or take xdg; --only-now starts nothing at login',
  })
}

/** The kind that is there already, or would be taken. @throws KeytoolError `usage`, `unsupported` */
export async function lookAtLogin(
  subject: LoginSubject,
  { kind: word }: SetupFlags,
  context: Context,
): Promise<AtLogin> {
  const wanted = kindOf(word)
  const { facts, effects } = worldOf(context)
  const [there] = wanted === undefined ? await kindsThere(subject, facts) : []
  const kind = await chooseLoginKind(facts.system, effects.run, wanted ?? there?.name, true, subject)
  const { changed } = await installLogin(kind, facts, effects, { dryRun: true })
  return { kind, isThere: !changed }
}

/** Installs it. What runs already goes on. */
export async function haveAtLogin(
  subject: LoginSubject,
  flags: SetupFlags,
  isTaken: () => Promise<boolean>,
  context: Context,
): Promise<{ kind: LoginKind; report: LoginReport }> {
  const { kind } = await lookAtLogin(subject, flags, context)
  const { facts, effects } = worldOf(context)
  return { kind, report: await installLogin(kind, facts, effects, { isTaken }) }
}

/** Takes it back, of whatever kind, with what it has left behind. */
export async function takeFromLogin(
  subject: LoginSubject,
  stop: (kind: LoginKind) => Promise<void>,
  context: Context,
): Promise<void> {
  const { facts, effects } = worldOf(context)
  for (const kind of await kindsThere(subject, facts)) {
    await uninstallLogin(kind, facts, effects, { stop: () => stop(kind) })
  }
}
