import { KeytoolError } from '@keytool/keygen'
import { launchd } from './launchd.js'
import type { LoginKind, LoginKindName } from './service.js'
import { systemd } from './systemd.js'
import { task } from './task.js'
import { holds, type RunTool } from './tools.js'
import { xdg } from './xdg.js'

/** In the order in which they are tried. */
const kinds: readonly LoginKind[] = [systemd, xdg, launchd, task]

/** What this system can have, the best one first. */
export function loginKindsOf(system: string): readonly LoginKind[] {
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
): Promise<LoginKind> {
  const possible = loginKindsOf(system)
  if (wanted === undefined) {
    for (const kind of possible) if (!kind.answers || (await holds(kind.answers, run))) return kind
    throw none(`nothing on ${system} is known that starts an agent at login`)
  }
  const kind = possible.find(({ name }) => name === wanted)
  if (!kind) throw none(`there is no ${wanted} on ${system}`)
  if (!isDry && kind.answers && !(await holds(kind.answers, run))) {
    throw new KeytoolError('unreachable', `${kind.answers.command.slice(0, 2).join(' ')} does not answer`, {
      reason: 'nothing was written',
      hint: 'keytool agent install without --kind takes what is there',
    })
  }
  return kind
}

function none(message: string): KeytoolError {
  return new KeytoolError('unsupported', message, { hint: 'keytool agent install --kind shell' })
}
