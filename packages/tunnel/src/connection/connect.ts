import type { Socket } from 'node:net'
import { type KeytoolError, showForeign } from '@keytool/keygen'
import { orderHostKeyAlgorithms } from './algorithms.js'
import { Authentication, type AuthOptions } from './auth.js'
import type { Connection } from './connection.js'
import { type DialOptions, dial } from './dial.js'
import { type HostPolicy, rememberHost, verifyHost } from './hostkeys.js'

export interface ConnectOptions extends AuthOptions {
  /** 1 to 65535. Default 22. */
  readonly port?: number
  readonly hosts: HostPolicy
  /** Until the TCP connection stands, in milliseconds. Default 15 s. */
  readonly timeout?: number
  /** For every answer of the server after that, in milliseconds. Default 10 s for its greeting, 30 s for the rest. */
  readonly stepTime?: number
  /** Signs of life: every `interval` milliseconds; after `count` without answer it is lost. Default 15 s, 3. */
  readonly keepalive?: { readonly interval: number; readonly count: number }
  readonly signal?: AbortSignal
  /** Told when a confirmed host key could not be written down; the connection goes on. */
  readonly onUnsaved?: (error: KeytoolError) => void
  /** How the socket is come by. Default {@link dial}. */
  readonly dial?: (options: DialOptions) => Promise<Socket>
}

/**
 * Dials, proves the host, logs in.
 * @throws KeytoolError `unreachable`; `damaged` for a peer that does not speak SSH; `unsupported` without a common
 * algorithm; `host-key-unknown`, `host-key-changed`; `secret-wrong`, `secret-needed`; `cancelled`
 */
export async function connect(options: ConnectOptions): Promise<Connection> {
  const { host, port = 22, user, hosts, timeout, signal } = options
  const knownTypes = await hosts.knownHosts.typesFor(host, port)
  const dialled = { host, port, signal, ...(timeout !== undefined && { timeout }) }
  const socket = await (options.dial ?? dial)(dialled)
  let toRemember: Buffer | undefined
  // The engine is a heavy library: only those who connect pay for it.
  const { openConnection } = await import('./engine.js')
  return openConnection(socket, {
    place: `${showForeign(host)}:${port}`,
    user,
    hostKeyAlgorithms: orderHostKeyAlgorithms(knownTypes),
    authentication: new Authentication(options),
    keepalive: options.keepalive,
    stepTime: options.stepTime,
    signal,
    async verifyHostKey(blob) {
      if ((await verifyHost(hosts, host, port, blob)).remember) toRemember = blob
    },
    // Only now the server has signed with the key: one that merely shows somebody's key is never written down.
    async hostProved() {
      if (!toRemember) return
      await rememberHost(hosts, host, port, toRemember).catch(error => options.onUnsaved?.(error as KeytoolError))
    },
  })
}
