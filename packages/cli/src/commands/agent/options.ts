import { access } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import {
  type AgentSettings,
  type FoundAgent,
  findAgent,
  findLoginService,
  findServer,
  loginFacts,
  pidFileBeside,
  type ShellStyle,
  shellStyle,
} from '@keytool/agent'
import type { Context } from '../../context.js'
import { parseDuration } from '../../duration.js'

export interface AgentOptions {
  s?: boolean
  c?: boolean
  k?: boolean
  socket?: string
  D?: boolean
  d?: boolean
  T?: boolean
  u?: boolean
  V?: boolean
  fingerprint?: string
  option?: readonly string[]
  lifetime?: string
  idle?: string
  upstream?: string
}

export interface AgentPlace {
  readonly socket: string
  readonly pidFile: string
  /** Whether `-a` named it. */
  readonly named: boolean
}

/** Whether the agent gets a place for this once. One that `-a` names is none. */
export function isPassing({ T, socket }: AgentOptions): boolean {
  return T === true && socket === undefined
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

/** What the agent that is started is to do with its keys. @throws KeytoolError `usage` */
export function settingsOf({ lifetime, idle, upstream }: AgentOptions): AgentSettings {
  return {
    ...(lifetime !== undefined && { lifetime: parseDuration(lifetime, '-t') }),
    ...(idle !== undefined && { idle: parseDuration(idle, '--idle') }),
    ...(upstream !== undefined && { upstream: resolve(upstream) }),
  }
}

/** The flags that say the same once more, to an agent that is started in the background. */
export function flagsOf({ lifetime, idle, upstream }: AgentSettings): string[] {
  return [
    ...(lifetime === undefined ? [] : ['-t', String(lifetime)]),
    ...(idle === undefined ? [] : ['--idle', String(idle)]),
    ...(upstream === undefined ? [] : ['--upstream', upstream]),
  ]
}

/** The agent that answers there, if one does. Throws `refused` where it could be another user's. */
export function lookFor({ socket, pidFile, named }: AgentPlace): Promise<FoundAgent | undefined> {
  return findAgent(socket, pidFile, { named })
}

/** Whether none runs, and whoever connected there would start one: what only wants to know must not. */
export async function isAsleep({ socket, pidFile, named }: AgentPlace, context: Context): Promise<boolean> {
  if (named || (await findServer(socket, pidFile))) return false
  const { program, places, env } = context
  const { kind, fits } = await findLoginService(loginFacts(program, places, env))
  return (
    kind === 'systemd' &&
    fits &&
    (await access(socket).then(
      () => true,
      () => false,
    ))
  )
}
