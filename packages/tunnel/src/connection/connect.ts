import type { Duplex } from 'node:stream'
import { type KeytoolError, showForeign } from '@keytool/keygen'
import { type HostKeyChanges, updateHostKeys } from '../known-hosts/rotate.js'
import type { AlgorithmLists } from './algorithm-lists.js'
import { makeOffer } from './algorithms.js'
import { Authentication, type AuthOptions } from './auth.js'
import type { Connection } from './connection.js'
import { type DialOptions, dial } from './dial.js'
import type { OnHostKeys, Prove } from './host-key-news.js'
import { type HostPolicy, type HostVerdict, knownAs, rememberHost, verifyHost } from './hostkeys.js'
import type { HostProof } from './kex/exchanges.js'
import type { OnNotice } from './notices.js'

export interface ConnectOptions extends AuthOptions {
  /** 1 to 65535. Default 22. */
  readonly port?: number
  readonly hosts: HostPolicy
  /** Until the TCP connection stands, in milliseconds. Default 15 s. */
  readonly timeout?: number
  /** For every answer of the server after that, in milliseconds. Default 10 s for its greeting, 30 s for the rest. */
  readonly stepTime?: number
  /** The same for its greeting and for its part of the first key exchange, whatever `stepTime` says. */
  readonly handshakeTime?: number | undefined
  /** Signs of life: every `interval` milliseconds; after `count` without answer it is lost. Default 15 s, 3. */
  readonly keepalive?: { readonly interval: number; readonly count: number }
  readonly signal?: AbortSignal
  /** A new connection to the agent, for sessions that forward it. Without it no session may. */
  readonly openAgent?: (() => Promise<Duplex>) | undefined
  /**
   * Told what the server says to people while they log in: banners (RFC 4252 section 5.4), and what stands around the
   * questions of keyboard-interactive (RFC 4256 section 3.2). Lines are escaped and cut, and few.
   */
  readonly onNotice?: OnNotice | undefined
  /** Told when a confirmed host key could not be written down; the connection goes on. */
  readonly onUnsaved?: (error: KeytoolError) => void
  /**
   * How the connection beneath is come by: any stream of bytes both ways, such as one through another server. It becomes
   * this connection's own, and is destroyed with it. Default {@link dial}.
   */
  readonly dial?: (options: DialOptions) => Promise<Duplex>
  /**
   * Names of weak algorithms that this server may use, as OpenSSH spells them: `diffie-hellman-group14-sha1`, `ssh-rsa`
   * (its host key, signed with SHA-1), `aes128-cbc` and its like, `3des-cbc`, `hmac-sha1`, `hmac-sha1-etm@openssh.com`.
   */
  readonly weak?: readonly string[]
  /** Which of the others are offered, and in which order: lists as ssh_config has them. Default: all. */
  readonly algorithms?: AlgorithmLists | undefined
  /**
   * Told what binds this session to its host (`session-bind@openssh.com`, OpenSSH's PROTOCOL.agent), once, when the host has
   * proved its key and before anything is signed. What it throws ends the connection.
   */
  readonly onBinding?: (binding: HostProof) => Promise<void>
  /**
   * Told which keys the host says it has (`hostkeys-00@openssh.com`, OpenSSH's PROTOCOL section 2.5), some time after the
   * login, a few times at most. What it throws is nobody's business.
   */
  readonly onHostKeys?: OnHostKeys
  /** Whether a server that is known by a plain line may change its keys by itself: see `updateHostKeys`. Default: false. */
  readonly updateHostKeys?: boolean
  /** Told what was noted and forgotten then, and whether the host itself was noted on this connection only. */
  readonly onHostKeysChanged?: (changes: HostKeyChanges, isFirstContact: boolean) => void
}

/**
 * Dials, proves the host, logs in.
 * @throws KeytoolError `usage` for a name in `weak` that is none; `unreachable`; `damaged` for a peer that does not speak SSH; `unsupported` without a common
 * algorithm, or for a list in `algorithms` that leaves none; `host-key-unknown`, `host-key-changed`; `secret-wrong`, `secret-needed`; `cancelled`
 */
export async function connect(options: ConnectOptions): Promise<Connection> {
  const { host, port = 22, user, hosts, timeout, signal, weak, algorithms } = options
  const { knownHosts } = hosts
  const name = knownAs(hosts, host, port)
  const knownTypes = await knownHosts.typesFor(name.host, name.port)
  const hasAuthority = await knownHosts.authoritiesFor(name.host, name.port)
  // Before anybody hears of us: a list that leaves nothing is the user's to mend.
  const offer = makeOffer({ knownTypes, hasAuthority, weak, lists: algorithms })
  const dialled = { host, port, signal, ...(timeout !== undefined && { timeout }) }
  const socket = await (options.dial ?? dial)(dialled)
  // What breaks before the engine listens is seen by it then, as a stream that is destroyed.
  socket.on('error', () => {})
  let shown: ShownKey | undefined
  // The engine is a heavy library: only those who connect pay for it.
  const { openConnection } = await import('./engine.js')
  return openConnection(socket, {
    place: `${showForeign(host)}:${port}`,
    user,
    offer,
    authentication: new Authentication(options),
    keepalive: options.keepalive,
    stepTime: options.stepTime,
    handshakeTime: options.handshakeTime,
    onNotice: options.onNotice,
    openAgent: options.openAgent,
    onHostKeys: (keys, prove) => followHostKeys(options, name, shown, keys, prove),
    signal,
    async verifyHostKey(blob) {
      shown = { ...(await verifyHost(hosts, host, port, blob)), blob }
    },
    // Only now the server has signed with the key: one that merely shows somebody's key is never written down.
    async hostProved(proof) {
      await options.onBinding?.(proof)
      if (!shown?.remember) return
      await rememberHost(hosts, host, port, shown.blob).catch(error => options.onUnsaved?.(error as KeytoolError))
    },
  })
}

/** The key that the server has shown, and what was made of it. */
interface ShownKey extends HostVerdict {
  readonly blob: Buffer
}

async function followHostKeys(
  { hosts: { knownHosts }, onHostKeys, updateHostKeys: wanted = false, onHostKeysChanged }: ConnectOptions,
  name: { readonly host: string; readonly port: number },
  shown: ShownKey | undefined,
  offered: readonly Buffer[],
  prove: Prove,
): Promise<void> {
  await onHostKeys?.(offered, prove)
  if (!wanted || !shown?.mayRotate) return
  const changes = await updateHostKeys({ knownHosts, ...name, current: shown.blob, offered, prove })
  if (changes.added.length + changes.removed.length > 0) onHostKeysChanged?.(changes, shown.remember)
}
