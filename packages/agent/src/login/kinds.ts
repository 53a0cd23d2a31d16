import { KeytoolError } from '@keytool/keygen'
import { agentAtLogin } from './agent.js'
import { launchd } from './launchd.js'
import type { LoginJob, LoginKind, LoginKindName, LoginSubject } from './service.js'
import { systemdService } from './systemd-service.js'
import { task } from './task.js'
import { holds, type RunTool } from './tools.js'
import { xdg } from './xdg.js'

/** A job in all the ways in which it can be started at login. */
export function subjectOf(job: LoginJob): LoginSubject {
  return { command: job.by, kinds: [systemdService(job), xdg(job), launchd(job), task(job)] }
}

/** What this system can have, the best one first. */
export function loginKindsOf(system: string, { kinds }: LoginSubject = agentAtLogin): readonly LoginKind[] {
  return kinds.filter(({ systems }) => systems.includes(system))
}

/**
 * The kind that was asked for, or else the first one that answers.
 * @throws KeytoolError `unsupported` when this system has none; `unreachable` when the one asked for does not answer
 */
export async function chooseLoginKind(
  system: string,
  run: RunTool,
  wanted?: LoginKindName,
  isDry = false,
  subject: LoginSubject = agentAtLogin,
): Promise<LoginKind> {
  const { command } = subject
  const possible = loginKindsOf(system, subject)
  if (wanted === undefined) {
    for (const kind of possible) if (!kind.answers || (await holds(kind.answers, run))) return kind
    throw none(`nothing on ${system} is known that starts programs at login`, command)
  }
  const kind = possible.find(({ name }) => name === wanted)
  if (!kind) throw none(`there is no ${wanted} on ${system}`, command)
  if (!isDry && kind.answers && !(await holds(kind.answers, run))) {
    throw new KeytoolError('unreachable', `${kind.answers.command.slice(0, 2).join(' ')} does not answer`, {
      reason: 'nothing was written',
      hint: `${command} without --kind takes what is there`,
    })
  }
  return kind
}

function none(message: string, command: string): KeytoolError {
  return new KeytoolError('unsupported', message, { hint: `${command} --kind shell` })
}
