import type { KeytoolError } from '@keytool/keygen'
import type { Connection } from '../connection/connection.js'
import type { Forward, ForwardLimits, ForwardOptions } from '../forwards/forward.js'
import type { ForwardSpec } from '../forwards/spec.js'
import type { WatchNetwork } from '../platform/network-watch.js'
import type { ProbeKind } from '../probe/kinds.js'
import type { Clock } from './clock.js'
import type { TunnelEvent } from './events.js'
import { HeldTunnel } from './held-tunnel.js'
import type { ForwardStatus } from './kept-forward.js'
import type { StateName, TunnelState } from './states.js'

/** What whoever connects may want to know. */
export interface Attempt {
  /** Whether the tunnel was up before: whoever started it may be gone, so that nobody can be asked. */
  readonly again: boolean
  /** How long TCP may take, in milliseconds, where a server is expected back any moment; absent: as long as usual. */
  readonly dialTime?: number
}

export interface TunnelOptions {
  /** The server as it may be shown, for texts. */
  readonly target: string
  /** At least one. */
  readonly forwards: readonly ForwardSpec[]
  /** Dials and logs in. Called when all forwards listen; its signal says that the tunnel was stopped meanwhile. */
  readonly connect: (signal: AbortSignal, attempt: Attempt) => Promise<Connection>
  /**
   * Whether there is anything to log in with, seen without the server: asked after `secret-needed`, until it is so. Without it
   * the server is asked, rarely.
   */
  readonly ready?: () => Promise<boolean>
  /** Keeps trying from the start, too, as it does after it was up. Default: what goes wrong then ends it. */
  readonly wait?: boolean
  /** Whether a remote forward that the server refuses at the first start is an error. Default: true. Later ones are asked for again. */
  readonly required?: boolean
  /** What becomes of connections that come while it is down. Default: `hold`, for 30 000 ms, at most 64 of them. */
  readonly whileDown?: 'hold' | 'refuse'
  readonly holdTime?: number
  readonly holdMax?: number
  /** For every forward. */
  readonly limits?: ForwardLimits
  /** Between two looks at each local forward's target, in milliseconds; 0: never. Default: 60 000. */
  readonly probeInterval?: number
  /** What a forward's target speaks, where its port does not say so. */
  readonly probe?: (spec: ForwardSpec) => ProbeKind | undefined
  /** Told of each change, in order. */
  readonly onState?: (state: TunnelState) => void
  /** Told once for each forward when it first carries, with the port that was chosen. */
  readonly onForward?: (forward: Forward) => void
  /**
   * Told of everything that is worth a line in a log: `formatEvent` writes it. Of what others can bring about at will, one a
   * second for each forward at most, after the first few.
   */
  readonly onEvent?: (event: TunnelEvent) => void
  /** Tells when the machine wakes or its network changes. Default: this machine's. */
  readonly watch?: WatchNetwork
  /** Default: the system's. */
  readonly clock?: Clock
  /** From 0 to 1. Default: Math.random. */
  readonly random?: () => number
  /** Default: `openForward`. */
  readonly openForward?: (spec: ForwardSpec, options: ForwardOptions) => Promise<Forward>
}

/** One tunnel in `tunnel status --json`. Times as ISO 8601 in UTC. */
export interface TunnelStatus {
  readonly state: StateName
  readonly since: string
  /** When it tries again, if it waits for a time. */
  readonly until: string | null
  /** How often it came up again. */
  readonly reconnects: number
  /** Why it was down last, or is. */
  readonly lastError: string | null
  readonly forwards: readonly ForwardStatus[]
}

export interface Tunnel {
  readonly state: TunnelState
  /** Empty until they listen. */
  readonly forwards: readonly Forward[]
  /** Settles when it is up for the first time. Once nothing is left, rejects with the KeytoolError that kept it from that. */
  readonly up: Promise<void>
  /** Settles when the tunnel has stopped: `undefined` when it was asked to. Never rejects. */
  readonly done: Promise<KeytoolError | undefined>
  status(): TunnelStatus
  /** Closes listeners and connection; resolves when nothing is left. May be called in every state, and again. */
  stop(): Promise<void>
}

/**
 * Holds forwards up, over one connection after the other. Listeners come first, so that a port in use is said before anything
 * is dialled. What goes wrong before it was up for the first time ends it, unless it may `wait`; later it connects again, except
 * after what can't heal (`healing.ts`). Listeners stay meanwhile. When a connection is lost, all that it carried is reset.
 */
export function holdTunnel(options: TunnelOptions): Tunnel {
  const tunnel = new HeldTunnel(options)
  tunnel.start()
  return tunnel
}
