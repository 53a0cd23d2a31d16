import { join, resolve } from 'node:path'
import { type FoundAgent, findAgent, pidFileBeside, type ShellStyle, shellStyle } from '@keytool/agent'
import type { Context } from '../../context.js'

export interface AgentOptions {
  s?: boolean
  c?: boolean
  k?: boolean
  socket?: string
  D?: boolean
  d?: boolean
}

export interface AgentPlace {
  readonly socket: string
  readonly pidFile: string
  /** Whether `-a` named it. */
  readonly named: boolean
}

/** Where the agent listens, and where its pid stands. */
export function placeOf({ socket }: AgentOptions, { places }: Context): AgentPlace {
  // The fixed place on Windows is a pipe, with no folder around it for a file.
  if (socket === undefined)
    return { socket: places.agentSocket, pidFile: join(places.runtime, 'agent.pid'), named: false }
  const path = resolve(socket)
  return { socket: path, pidFile: pidFileBeside(path), named: true }
}

export function styleOf({ s, c }: AgentOptions, { env }: Context): ShellStyle {
  if (s) return 'sh'
  return c ? 'csh' : shellStyle(env['SHELL'])
}

/** The agent that answers there, if one does. Throws `refused` where it could be another user's. */
export function lookFor({ socket, pidFile, named }: AgentPlace): Promise<FoundAgent | undefined> {
  return findAgent(socket, pidFile, { named })
}
