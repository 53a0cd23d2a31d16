import { fileURLToPath } from 'node:url'
import type { Environment } from './home.js'
import { peerPath } from './peers.js'
import { type RunResult, run } from './run.js'

export type PythonClient = 'paramiko' | 'asyncssh' | 'libssh'

export interface LoginTarget {
  readonly host: string
  readonly port: number
  readonly user: string
  readonly command: string
  /** `type base64`: the only host key that is taken. Without it any is. */
  readonly hostKey?: string
}

/**
 * Logs in with a client library of Python's, with the agent that `env` names and no key files, and runs the command;
 * its output and exit status are the result's.
 */
export function logInWithPython(client: PythonClient, target: LoginTarget, env: Environment): Promise<RunResult> {
  const script = fileURLToPath(new URL(`python/${client}_login.py`, import.meta.url))
  const { host, port, user, command, hostKey } = target
  const args = [host, String(port), user, command, ...(hostKey === undefined ? [] : [hostKey])]
  return run(peerPath(client), ['-B', script, ...args], { env })
}
