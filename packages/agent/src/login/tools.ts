import { execFile } from 'node:child_process'
import type { Environment } from '../platform/places.js'
import type { Check, Command } from './service.js'

export interface Answer {
  /** Undefined when there is no such program, or it did not come to an end in time. */
  readonly status: number | undefined
  readonly stdout: string
  readonly stderr: string
}

/** Runs a tool of the system's to its end. Never rejects. */
export type RunTool = (command: Command, patience?: number) => Promise<Answer>

/** Long for what starts and stops units. In milliseconds. */
const PATIENCE = 20_000
/** For a question whether anybody is there at all. */
const CHECK_PATIENCE = 4_000

/** @param env the tools' whole environment */
export function createRunTool(env: Environment): RunTool {
  // What the tools say is read, so they say it in English.
  const toolEnv = { ...env, LC_ALL: 'C.UTF-8' }
  return ([program, ...args], timeout = PATIENCE) =>
    new Promise(resolve => {
      const options = { env: toolEnv, timeout, killSignal: 'SIGKILL', windowsHide: true } as const
      const child = execFile(program, args, options, (error, stdout, stderr) => {
        const status = error === null ? 0 : typeof error.code === 'number' ? error.code : undefined
        resolve({ status, stdout, stderr })
      })
      child.stdin?.end()
    })
}

export async function holds({ command, lines }: Check, run: RunTool): Promise<boolean> {
  const { status, stdout } = await run(command, CHECK_PATIENCE)
  return status === 0 && (lines === undefined || stdout.split(/\r?\n/).some(line => lines.includes(line)))
}
