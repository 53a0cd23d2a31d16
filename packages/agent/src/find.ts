import { type AgentClient, connectAgent } from './client.js'
import { pidFileBeside, readPidFile } from './pid-file.js'
import { isRunning } from './platform/running.js'

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
 * answers, it names that socket, and its process exists.
 */
export async function findAgent(
  socket: string,
  pidFile: string = pidFileBeside(socket),
): Promise<FoundAgent | undefined> {
  let client: AgentClient
  try {
    client = await connectAgent(socket, { timeout: PATIENCE })
  } catch {
    return undefined
  }
  try {
    await client.list()
  } catch {
    return undefined
  } finally {
    client.close()
  }
  const facts = await readPidFile(pidFile)
  const isCredible = facts?.socket === socket && isRunning(facts.pid)
  return { socket, pid: isCredible ? facts.pid : undefined, since: isCredible ? facts.since : undefined }
}
