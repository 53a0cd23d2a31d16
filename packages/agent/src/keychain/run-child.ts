import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { Socket } from 'node:net'
import type { Readable, Writable } from 'node:stream'
import { type ErrorCode, KeytoolError } from '@keytool/keygen'
import type { Environment } from '../platform/places.js'
import { clearReadBuffer } from '../platform/read-buffer.js'
import { isSilent } from './answers.js'
import { Gathering } from './frame.js'

/** What a keychain's library needs to know of the session; of the rest of the agent's environment it learns nothing. */
const VARIABLES =
  /^(?:DBUS_SESSION_BUS_ADDRESS|XDG_\w+|HOME|USER|LOGNAME|PATH|DISPLAY|WAYLAND_DISPLAY|XAUTHORITY|LD_LIBRARY_PATH|TMPDIR|TEMP|TMP|__CF_USER_TEXT_ENCODING|SYSTEMROOT|WINDIR|USERPROFILE|USERNAME|USERDOMAIN|APPDATA|LOCALAPPDATA)$/i

export type Child = ChildProcessByStdio<Writable, Readable, null>

/** Starts a child, which gets ready and waits for one request. */
export function startChild(program: string, env: Environment): Child {
  const child: Child = spawn(process.execPath, [program], {
    stdio: ['pipe', 'pipe', 'ignore'],
    env: Object.fromEntries(Object.entries(env).filter(([name]) => VARIABLES.test(name))),
    windowsHide: true,
  })
  // A child that ends before it has read everything is told of by its end; one that can't be started, too.
  child.on('error', ignore)
  if (child.pid === undefined) throw isSilent("what asks it can't be started")
  child.stdin.on('error', ignore)
  return child
}

/** Whether this process stays for a child that nobody has asked yet. */
export function holdFor(child: Child, stays: boolean): void {
  const call = stays ? 'ref' : 'unref'
  child[call]()
  for (const pipe of [child.stdin, child.stdout]) if (pipe instanceof Socket) pipe[call]()
}

export function hasEnded({ pid, exitCode, signalCode }: Child): boolean {
  return pid === undefined || exitCode !== null || signalCode !== null
}

export function endChild(child: Child): void {
  child.kill('SIGKILL')
  child.stdin.destroy()
  child.stdout.destroy()
}

/**
 * Asks the child, which is ended when it has answered, and when the signal is aborted.
 * @returns the fields of its answer, each a buffer of its own that the caller wipes
 * @throws KeytoolError what the child says; `unreachable` when it says nothing or what is no answer; the signal's reason
 */
export function askChild(child: Child, request: Buffer, signal: AbortSignal): Promise<Buffer[]> {
  return new Promise((resolve, reject) => {
    const answer = new Gathering()
    const end = (settle: () => void) => {
      signal.removeEventListener('abort', leave)
      endChild(child)
      settle()
      answer.wipe()
    }
    const fail = (error: unknown) => end(() => reject(error))
    const leave = () => fail(signal.reason)
    if (signal.aborted) return leave()
    signal.addEventListener('abort', leave, { once: true })
    child.stdout.on('data', (part: Buffer) => {
      clearReadBuffer()
      try {
        const fields = answer.add(part)
        if (fields) end(() => settleWith(fields, resolve, reject))
      } catch (error) {
        fail(isSilent('its answer makes no sense', error))
      }
    })
    child.once('error', cause => fail(isSilent(`it can't be asked: ${(cause as NodeJS.ErrnoException).code}`, cause)))
    child.once('close', (status, killedBy) => fail(isSilent(`what asks it ended with ${killedBy ?? status}`)))
    child.stdin.end(request)
  })
}

function settleWith(
  [kind, ...fields]: readonly Buffer[],
  resolve: (fields: Buffer[]) => void,
  reject: (error: unknown) => void,
): void {
  if (String(kind) === 'ok') resolve(fields.map(copy))
  else reject(readError(fields[0]))
}

/** Not from node's pool of small buffers, which others share. */
function copy(field: Buffer): Buffer {
  const own = Buffer.allocUnsafeSlow(field.length)
  field.copy(own)
  return own
}

const CODES: readonly ErrorCode[] = ['refused', 'unreachable', 'damaged', 'unsupported', 'usage', 'failed']

function readError(json: Buffer | undefined): KeytoolError {
  try {
    const value: unknown = JSON.parse(String(json))
    const { code, message, reason, hint } = value as Record<string, unknown>
    const known = CODES.find(each => each === code)
    if (known && typeof message === 'string') {
      const isText = (text: unknown) => typeof text === 'string'
      return new KeytoolError(known, message, {
        ...(isText(reason) && { reason: reason as string }),
        ...(isText(hint) && { hint: hint as string }),
      })
    }
  } catch {
    // Told below.
  }
  return isSilent('its answer makes no sense')
}

function ignore(): void {}
