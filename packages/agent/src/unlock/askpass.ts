import { type ChildProcess, spawn } from 'node:child_process'
import { constants } from 'node:fs'
import { access } from 'node:fs/promises'
import { KeytoolError, showForeign } from '@keytool/keygen'
import { withoutNodeVariables } from '../platform/harden.js'
import { clearReadBuffer } from '../platform/read-buffer.js'
import { PATIENCE, type Patience, type Prompter, withPatience } from './prompter.js'

export interface AskpassOptions {
  /** Default: this process's. */
  readonly env?: Readonly<NodeJS.ProcessEnv>
  readonly patience?: Patience
  /** Where an askpass program stands that nobody has named. Default: where systems put it. */
  readonly places?: readonly string[]
}

/** Where OpenSSH's packages keep it. On macOS and Windows there is none. */
const PLACES: readonly string[] = ['darwin', 'win32'].includes(process.platform)
  ? []
  : ['/usr/bin/ssh-askpass', '/usr/lib/ssh/ssh-askpass', '/usr/libexec/openssh/ssh-askpass']
/** Bytes of an answer. A passphrase is shorter. */
const MAX_ANSWER = 64 * 1024
/** Milliseconds that a program has to go when it is told to. */
const GRACE = 1000
/** In a group of its own, a script ends together with the window that it has opened. */
const OWN_GROUP = process.platform !== 'win32'

interface Answer {
  readonly status: number | null
  /** The first line. */
  readonly line: Buffer
}

/**
 * Asks through the program in SSH_ASKPASS, as OpenSSH does (ssh(1), ENVIRONMENT; readpass.c): a program of its own, the
 * question as its one argument, its first line the answer, and no shell between.
 *
 * The rules are those of ssh-agent, which never asks on a terminal: SSH_ASKPASS_REQUIRE `never` says no, `force` says
 * yes, and anything else asks for a display, in DISPLAY or WAYLAND_DISPLAY.
 */
export function createAskpass(options: AskpassOptions = {}): Prompter {
  const { env = process.env, patience = PATIENCE, places = PLACES } = options
  return {
    name: 'askpass',
    async confirm(text, signal) {
      const program = await findAskpass(env, places)
      if (program === undefined) return undefined
      const childEnv = { ...withoutNodeVariables(env), SSH_ASKPASS_PROMPT: 'confirm' }
      return withPatience(signal, patience.confirm, async ended => {
        const { status, line } = await runAskpass(program, text, childEnv, ended)
        const said = line.toString('latin1').toLowerCase()
        line.fill(0)
        return status === 0 && (said === '' || said === 'yes')
      })
    },
    async passphrase(text, signal) {
      const program = await findAskpass(env, places)
      if (program === undefined) return undefined
      // A hint that was meant for another question would turn this one into a message.
      const { SSH_ASKPASS_PROMPT: _, ...childEnv } = withoutNodeVariables(env)
      return withPatience(signal, patience.passphrase, async ended => {
        const { status, line } = await runAskpass(program, `${text}: `, childEnv, ended)
        if (status === 0) return line
        line.fill(0)
        throw new KeytoolError('cancelled', 'the askpass program gave no passphrase')
      })
    },
  }
}

async function findAskpass(env: Readonly<NodeJS.ProcessEnv>, places: readonly string[]): Promise<string | undefined> {
  const require = env['SSH_ASKPASS_REQUIRE']?.toLowerCase()
  const hasDisplay = Boolean(env['DISPLAY'] || env['WAYLAND_DISPLAY'])
  if (require === 'never' || !(require === 'force' || hasDisplay)) return undefined
  const named = env['SSH_ASKPASS']
  // Set and empty: whoever did it wants none.
  if (named !== undefined) return named || undefined
  for (const place of places) {
    const isThere = await access(place, constants.X_OK).then(
      () => true,
      () => false,
    )
    if (isThere) return place
  }
  return undefined
}

/** Rejects with the signal's reason, `failed` when the program can't be run or says too much. */
function runAskpass(program: string, text: string, env: NodeJS.ProcessEnv, signal: AbortSignal): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, [text], {
      stdio: ['ignore', 'pipe', 'ignore'],
      env,
      detached: OWN_GROUP,
      windowsHide: true,
    })
    const failed = (cause: unknown) =>
      trouble(program, `it can't be run: ${(cause as NodeJS.ErrnoException).code}`, cause)
    // With no descriptor left there is not even a pipe.
    if (!child.stdout) {
      child.once('error', cause => reject(failed(cause)))
      return
    }
    const parts: Buffer[] = []
    let size = 0
    const stop = (error: unknown) => {
      endGroup(child)
      finish()
      reject(error)
    }
    const leave = () => stop(signal.reason)
    const finish = () => {
      signal.removeEventListener('abort', leave)
      for (const part of parts.splice(0)) part.fill(0)
    }
    signal.addEventListener('abort', leave, { once: true })
    child.stdout.on('data', (part: Buffer) => {
      clearReadBuffer()
      size += part.length
      parts.push(part)
      if (size > MAX_ANSWER) stop(trouble(program, 'its answer is too long'))
      // What still comes from one that was told to end.
      else if (signal.aborted) part.fill(0)
    })
    child.once('error', cause => {
      finish()
      reject(failed(cause))
    })
    child.once('close', status => {
      const line = firstLine(parts)
      finish()
      resolve({ status, line })
    })
  })
}

/** A copy of what stands before the first end of a line, of either kind. */
function firstLine(parts: readonly Buffer[]): Buffer {
  const all = Buffer.concat(parts)
  const end = all.findIndex(byte => byte === 10 || byte === 13)
  const line = Buffer.from(end < 0 ? all : all.subarray(0, end))
  all.fill(0)
  return line
}

/** Ends the program and what it has started. The question is off the screen then. */
function endGroup(child: ChildProcess): void {
  const { pid } = child
  child.stdout?.destroy()
  if (pid === undefined) return
  send(child, pid, 'SIGTERM')
  setTimeout(() => send(child, pid, 'SIGKILL'), GRACE).unref()
}

function send(child: ChildProcess, pid: number, signal: NodeJS.Signals): void {
  // Once it has ended its number may be another's.
  if (child.exitCode !== null || child.signalCode !== null) return
  try {
    process.kill(OWN_GROUP ? -pid : pid, signal)
  } catch {
    // It went by itself.
  }
}

function trouble(program: string, reason: string, cause?: unknown): KeytoolError {
  return new KeytoolError('failed', `the askpass program ${showForeign(program)} does not work`, { reason, cause })
}
