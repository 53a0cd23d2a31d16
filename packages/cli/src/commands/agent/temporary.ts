import { mkdtemp, rmdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pidFileBeside } from '@keytool/agent'
import { KeytoolError } from '@keytool/keygen'
import type { AgentPlace } from './options.js'

/** A place for this once. */
export interface TemporaryPlace extends AgentPlace {
  /** Removes its folder, once the agent has removed what it had there. Never rejects. */
  remove(): Promise<void>
}

/** A new folder under TMPDIR, which nobody else can look into, as ssh-agent makes it with `-T`. */
export async function makeTemporaryPlace(): Promise<TemporaryPlace> {
  const parent = tmpdir()
  const folder = await mkdtemp(join(parent, 'ssh-')).catch(cause => {
    throw new KeytoolError('failed', `${parent} can't hold the agent's socket: ${cause.code}`, { cause })
  })
  const socket = join(folder, `agent.${process.pid}`)
  return {
    socket,
    pidFile: pidFileBeside(socket),
    named: true,
    // Whatever somebody else put there stays, and the folder with it.
    remove: () => rmdir(folder).catch(() => undefined),
  }
}
