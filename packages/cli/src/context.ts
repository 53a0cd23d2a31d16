import type { Readable } from 'node:stream'
import { type Environment, type Places, places } from '@keytool/agent/platform'
import { Say } from './say.js'

/** All that a command may know of the world around it. Tests hand in their own. */
export interface Context {
  /** The name the program was called by: `keytool` or `ssh-keytool`. */
  readonly name: string
  readonly env: Environment
  readonly places: Places
  readonly stdin: Readable & { readonly isTTY?: boolean }
  readonly say: Say
  /** The program itself, for those who start it again in the background. */
  readonly program: string
}

/** A command's one entry. Returns the exit status; throws KeytoolError. */
export type Run = (args: readonly string[], context: Context) => Promise<number>

/** @param program path of the running program; its name decides what texts call it */
export function createContext(program: string): Context {
  const name = /(^|[\\/])ssh-keytool(\.\w+)?$/.test(process.argv[1] ?? '') ? 'ssh-keytool' : 'keytool'
  const where = places()
  const say = new Say({
    name,
    home: where.home,
    stdout: process.stdout,
    stderr: process.stderr,
    env: process.env,
  })
  return { name, env: process.env, places: where, stdin: process.stdin, say, program }
}
