import { createServer, type Socket } from 'node:net'
import { listen } from '@keytool/agent/platform'
import { isKeytoolError, KeytoolError } from '@keytool/keygen'
import type { Tunnel } from '../supervisor/tunnel.js'
import { placeOfTunnel, type RunningPlaces } from './place.js'
import { MAX_QUESTION, QUESTION_TIME, type Question, type RunningTunnel } from './words.js'

/** When more have come and not said what they want, the first of them has to go. */
const MAX_SILENT = 32

export interface ServeOptions {
  readonly places: RunningPlaces
  /** As {@link keyOfTunnel} makes it. */
  readonly key: string
  /** As `tunnel status` shows it. */
  readonly name: string
  /** The tunnel, once there is one. */
  readonly tunnel: () => Tunnel | undefined
  /** Has it end. Resolves when nothing is left of it. */
  readonly stop: () => Promise<void>
  readonly pid?: number
}

/** Where a tunnel answers to `tunnel status` and `tunnel stop`. */
export interface TunnelDesk {
  close(): Promise<void>
}

/**
 * Takes the tunnel's place, 0600 in a folder that is the user's alone, and answers there.
 * @throws KeytoolError `exists` when the same tunnel runs already; `refused` when the folder is not safe
 */
export async function serveTunnel(options: ServeOptions): Promise<TunnelDesk> {
  const { places, key, name } = options
  const askers = new Set<Socket>()
  const silent = new Set<Socket>()
  const server = createServer(socket => {
    socket.on('error', () => {})
    const [first] = silent
    if (first && silent.size >= MAX_SILENT) first.destroy()
    askers.add(socket)
    silent.add(socket)
    socket.once('close', () => {
      askers.delete(socket)
      silent.delete(socket)
    })
    socket.setTimeout(QUESTION_TIME, () => socket.destroy())
    readQuestion(socket, question => {
      silent.delete(socket)
      // Whoever asked is told by the end of the line.
      answer(question, socket, options).catch(() => socket.destroy())
    })
  })
  const listener = await listen(server, placeOfTunnel(places, key)).catch(error => {
    if (!isKeytoolError(error) || error.code !== 'exists') throw error
    throw new KeytoolError('exists', `the tunnel ${name} runs already`, { cause: error })
  })
  return {
    async close() {
      // What can't be removed is a dead socket: nobody is kept from ending by it, and the next start replaces it.
      const closed = listener.close().catch(() => {})
      for (const socket of askers) socket.destroySoon()
      await closed
    },
  }
}

function readQuestion(socket: Socket, take: (question: Question) => void): void {
  let text = ''
  const read = (chunk: Buffer) => {
    text += chunk.toString('latin1')
    const end = text.indexOf('\n')
    if (end < 0 && text.length <= MAX_QUESTION) return
    socket.off('data', read)
    const question = end < 0 ? '' : text.slice(0, end)
    if (question === 'status' || question === 'stop') take(question)
    else socket.destroy()
  }
  socket.on('data', read)
}

async function answer(question: Question, socket: Socket, options: ServeOptions): Promise<void> {
  const { name, tunnel, stop, pid = process.pid } = options
  if (question === 'stop') {
    // The answer goes out before the desk is closed, which is part of the end.
    socket.setTimeout(0)
    await stop()
    socket.end('{"stopped":true}\n')
    return
  }
  const status = tunnel()?.status() ?? {
    state: 'idle',
    since: new Date().toISOString(),
    until: null,
    reconnects: 0,
    lastError: null,
    forwards: [],
  }
  const whole: RunningTunnel = { version: 1, name, pid, ...status }
  socket.end(`${JSON.stringify(whole)}\n`)
}
