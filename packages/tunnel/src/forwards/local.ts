import { createServer, type Server, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { KeytoolError } from '@keytool/keygen'
import { findPortOwner } from '../platform/port-owner.js'
import { type Counters, noteError, pump, reset, zeroCounters } from './pump.js'
import { addressToBind, formatForward, formatPlace, type LocalForwardSpec } from './spec.js'

/** Gives the stream to a target: what a connection's `openDirect` does. */
export type OpenTarget = (host: string, port: number, origin: { host: string; port: number }) => Promise<Duplex>

/** What is added to a port that only root may bind: 110 becomes 1110. */
const OFFSET = 1000

/** A listener of ours whose connections are carried to the target. */
export interface LocalForward {
  readonly spec: LocalForwardSpec
  /** Where it listens, with the port the system chose when 0 was asked for. */
  readonly address: { readonly host: string; readonly port: number }
  readonly counters: Readonly<Counters>
  /** Stops listening and resets what is open. */
  close(): Promise<void>
}

/**
 * Listens for a `-L` forward, on 127.0.0.1 alone unless the forward names an address. Connections that come before the
 * tunnel is up wait in `open`.
 * @param onTrouble told when a connection could not be carried: the server refused its target, say
 * @throws KeytoolError `failed`: the port is in use (by whom, where that can be known), not allowed, or no address here
 */
export async function listenLocal(
  spec: LocalForwardSpec,
  open: OpenTarget,
  onTrouble: (error: unknown) => void = () => {},
): Promise<LocalForward> {
  const counters = zeroCounters()
  const sockets = new Set<Socket>()
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true, noDelay: true }, socket => {
    counters.connections++
    counters.open++
    sockets.add(socket)
    // What goes wrong with the socket ends in its close; without a listener it would stop the process.
    socket.on('error', error => noteError(counters, error))
    socket.on('close', () => {
      counters.open--
      sockets.delete(socket)
    })
    carry(
      socket,
      spec,
      open,
      error => {
        noteError(counters, error)
        onTrouble(error)
      },
      counters,
    )
  })
  const host = addressToBind(spec)
  await listen(server, host, spec.port).catch(async error => {
    throw await explainListening(error, spec)
  })
  const bound = server.address()
  const port = typeof bound === 'object' && bound ? bound.port : spec.port
  return {
    spec,
    address: { host: host ?? '*', port },
    counters,
    async close() {
      const closed = new Promise(resolve => server.close(resolve))
      for (const socket of sockets) reset(socket)
      await closed
    },
  }
}

async function carry(
  socket: Socket,
  spec: LocalForwardSpec,
  open: OpenTarget,
  onTrouble: (error: unknown) => void,
  counters: Counters,
): Promise<void> {
  const { remoteAddress = '127.0.0.1', remotePort = 0 } = socket
  try {
    const channel = await open(spec.to.host, spec.to.port, { host: remoteAddress, port: remotePort })
    if (socket.destroyed) channel.destroy()
    else pump(socket, channel, counters)
  } catch (error) {
    onTrouble(error)
    reset(socket)
  }
}

function listen(server: Server, host: string | undefined, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen({ port, ...(host !== undefined && { host }) }, () => {
      server.off('error', reject)
      // Running out of file descriptors loses one connection, not the listener.
      server.on('error', () => {})
      resolve()
    })
  })
}

/** Why listening did not work, and what will. */
export async function explainListening(error: unknown, spec: LocalForwardSpec): Promise<KeytoolError> {
  const { code } = error as NodeJS.ErrnoException
  const host = addressToBind(spec)
  const place = formatPlace(host ?? '*', spec.port)
  if (code === 'EADDRINUSE') {
    const [owner, free] = await Promise.all([findPortOwner(spec.port, host), findFreePort(host)])
    return new KeytoolError('failed', `${place} is in use`, {
      ...(owner && { reason: `held by ${owner.name ?? 'a program'} (pid ${owner.pid})` }),
      ...(free !== undefined && { hint: `a free port: -L ${formatForward({ ...spec, port: free })}` }),
      cause: error,
    })
  }
  if (code === 'EACCES' && spec.port < 1024) {
    return new KeytoolError('failed', `${place} may not be bound: ports under 1024 are kept for root`, {
      hint: `take -L ${formatForward({ ...spec, port: spec.port + OFFSET })}`,
      cause: error,
    })
  }
  const reason = code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND' ? 'that is no address of this machine' : String(code)
  return new KeytoolError('failed', `${place} can't be listened on`, { reason, cause: error })
}

async function findFreePort(host: string | undefined): Promise<number | undefined> {
  const server = createServer()
  try {
    await listen(server, host, 0)
    const address = server.address()
    return typeof address === 'object' ? address?.port : undefined
  } catch {
    return undefined
  } finally {
    server.close()
  }
}
