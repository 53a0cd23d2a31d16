import { type PidFile, pidFileBeside, readPidFile } from '../pid-file.js'
import { checkPlace, type PlaceOptions } from '../platform/place-check.js'
import { isRunning, startOf } from '../platform/running.js'
import { type AgentClient, connectAgent } from './client.js'

export interface FoundAgent {
  readonly socket: string
  /** Undefined when an agent answers, but nothing credible says which process it is. */
  readonly pid: number | undefined
  /** When it started, in ISO 8601. */
  readonly since: string | undefined
}

/** Long for an agent that is alive: a list asks nobody anything. In milliseconds. */
const PATIENCE = 3_000

/**
 * The agent that answers on this socket, or undefined when none does. A pid file is believed only when the socket
 * answers, it names that socket, and its process exists and is the one that wrote it.
 *
 * @throws KeytoolError `refused`, as `checkPlace` does: nobody is asked where another user could be the one who answers
 */
export async function findAgent(
  socket: string,
  pidFile: string = pidFileBeside(socket),
  options: PlaceOptions = {},
): Promise<FoundAgent | undefined> {
  if (!(await checkPlace(socket, options)) || !(await answers(socket))) return undefined
  const server = await findServer(socket, pidFile)
  return { socket, pid: server?.pid, since: server?.since }
}

/**
 * The agent of ours that serves this socket, as its pid file has it; undefined when none runs. Nobody is asked: where a
 * service manager listens, whoever connects starts one.
 */
export async function findServer(socket: string, pidFile: string): Promise<PidFile | undefined> {
  const facts = await readPidFile(pidFile)
  return facts?.socket === socket && isWriter(facts) ? facts : undefined
}

async function answers(socket: string): Promise<boolean> {
  let client: AgentClient | undefined
  try {
    client = await connectAgent(socket, { timeout: PATIENCE })
    await client.list()
    return true
  } catch {
    return false
  } finally {
    client?.close()
  }
}

/** A number alone is no proof: the system gives it away again once a killed agent is gone. */
function isWriter({ pid, start }: PidFile): boolean {
  return isRunning(pid) && start === startOf(pid)
}
