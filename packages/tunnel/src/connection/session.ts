import type { Duplex, Readable } from 'node:stream'
import { finished } from 'node:stream'
import { KeytoolError } from '@keytool/keygen'
import type { RawChannel } from './channel.js'
import type { RemoteSession, SessionRequest, TerminalSize } from './connection.js'
import type { Protocol } from './insides.js'
import { encodeTerminalModes } from './terminal-modes.js'

/** The engine's channel of a session. */
export interface RawSession extends RawChannel {
  readonly outgoing: RawChannel['outgoing'] & { readonly id: number; readonly state: string }
}

/** What asks for something on a channel without waiting for an answer (RFC 4254 sections 6.7 and 6.9). */
export type Requests = Pick<Protocol, 'windowChange' | 'signal'>

/** What the engine calls a channel that we have not closed. Its own methods send nothing once our input has ended. */
const STANDING: readonly string[] = ['open', 'eof']

/** What a session asks for, in the engine's words. */
export function describeSession({ terminal, environment, forwardAgent }: SessionRequest): {
  pty: object | false
  more: { env?: Readonly<Record<string, string>>; agentForward?: boolean }
} {
  const size = terminal?.size
  return {
    pty:
      terminal && size
        ? {
            term: terminal.type,
            rows: size.rows,
            cols: size.columns,
            width: size.width ?? 0,
            height: size.height ?? 0,
            modes: encodeTerminalModes(terminal.modes ?? {}),
          }
        : false,
    more: { ...(environment && { env: environment }), ...(forwardAgent && { agentForward: true }) },
  }
}

/**
 * @param stream the same channel as an honest stream
 * @param lost settles when the connection is over
 */
export function makeSession(
  raw: RawSession,
  stream: Duplex,
  lost: Promise<KeytoolError | undefined>,
  requests: Requests,
): RemoteSession {
  const stderr: Readable = raw.stderr
  const said: { status?: number; signal?: string } = {}
  raw.on('exit', (status: number | null, signal?: string) => {
    if (status !== null) said.status = status
    if (signal !== undefined) said.signal = signal.replace(/^SIG/, '')
  })
  // Whoever reads these has listeners of their own; who does not must not bring the process down.
  stderr.on('error', () => {})
  const ended = Promise.all([read(stream), read(stderr), closed(raw)])
  const exit = Promise.race([
    ended.then(async () => {
      // Where nothing was said about the end it may be the connection's: `lost` is then settled in this very turn.
      if (said.status === undefined && said.signal === undefined) await new Promise(setImmediate)
      return said
    }),
    lost.then(error => {
      throw error ?? new KeytoolError('unreachable', 'the connection was closed')
    }),
  ])
  // Whoever does not ask how it ended is not told by a crash.
  exit.catch(() => {})
  // An end of input is none of requests (RFC 4254 section 5.3).
  const isOpen = () => STANDING.includes(raw.outgoing.state)
  return {
    stdin: stream,
    stdout: stream,
    stderr,
    resize({ rows, columns, width = 0, height = 0 }: TerminalSize) {
      if (isOpen()) requests.windowChange(raw.outgoing.id, rows, columns, height, width)
    },
    signal(name: string) {
      if (isOpen()) requests.signal(raw.outgoing.id, name)
    },
    exit,
    close() {
      stream.destroy()
    },
  }
}

/** Once all of it was read, or it broke. */
function read(stream: Readable): Promise<void> {
  return new Promise(resolve => finished(stream, { writable: false }, () => resolve()))
}

function closed(raw: RawChannel): Promise<void> {
  return new Promise(resolve => raw.once('close', () => resolve()))
}
