import type { Readable } from 'node:stream'
import { type Environment, findHome, type Places, places } from '@keytool/agent/platform'
import type { Asker } from './asker.js'
import { Say } from './say.js'

/** All that a command may know of the world around it. Tests hand in their own. */
export interface Context {
  /** The name the program was called by: `keytool` or `ssh-keytool`. */
  readonly name: string
  readonly env: Environment
  readonly places: Places
  readonly stdin: Readable & { readonly isTTY?: boolean }
  readonly say: Say
  /** Who answers questions in place of the terminal, while they are there. */
  readonly asker?: Asker | undefined
  /** Ends the question that stands: nobody needs the answer any more. */
  readonly leaving?: AbortSignal | undefined
  /** Nobody is to be asked, whoever is there (ssh_config's BatchMode). */
  readonly asksNobody?: boolean
  /** The program itself, for those who start it again in the background. */
  readonly program: string
}

/** The same context for work that may end before its questions are answered: they end with it. */
export function leavingWith(context: Context, signal: AbortSignal): Context {
  const leaving = context.leaving ? AbortSignal.any([context.leaving, signal]) : signal
  return Object.create(context, { leaving: { value: leaving, enumerable: true } }) as Context
}

/** The same context for work in which nobody is asked. */
export function askingNobody(context: Context): Context {
  return Object.create(context, { asksNobody: { value: true, enumerable: true } }) as Context
}

/** A command's one entry. Returns the exit status; throws KeytoolError. */
export type Run = (args: readonly string[], context: Context) => Promise<number>

/** The name the program was called by. The JDK has a `keytool` of its own, so it has two. */
export function programName(): string {
  return /(^|[\\/])ssh-keytool(\.\w+)?$/.test(process.argv[1] ?? '') ? 'ssh-keytool' : 'keytool'
}

/** @param program path of the running program, links resolved */
export function createContext(program: string): Context {
  const name = programName()
  const { env, stdin, stdout, stderr } = process
  const say = new Say({ name, home: homeIfKnown(), stdout, stderr, env })
  let known: Places | undefined
  return {
    name,
    env,
    // Looked up when it is needed: --help works for somebody without a home, too.
    get places() {
      known ??= places()
      return known
    },
    stdin,
    say,
    program,
  }
}

function homeIfKnown(): string {
  try {
    return findHome()
  } catch {
    return ''
  }
}
