import type { KeytoolError } from '@keytool/keygen'
import type { ForwardSpec } from '../forwards/spec.js'
import type { NetworkEvent } from '../platform/network-watch.js'
import type { StateName, TunnelState } from './states.js'

/**
 * What is known of a forward: `up`, its target was seen alive (of a local one), the server listens (remote), it takes whoever
 * comes (dynamic); `dead`, it carries nothing; `unknown`, nobody looked, or there is no connection.
 */
export type ForwardState = 'up' | 'dead' | 'unknown'

/** Which forward an event is about. */
export interface ForwardRef {
  readonly spec: ForwardSpec
  /** Where it listens, ready to be shown. */
  readonly place: string
}

type Happening =
  | { readonly kind: 'state'; readonly from: StateName; readonly state: TunnelState }
  /** The state of a forward has changed. `banner`: how its target greets, escaped. */
  | {
      readonly kind: 'forward'
      readonly forward: ForwardRef
      readonly state: ForwardState
      readonly banner?: string
      readonly error?: KeytoolError
    }
  /** A connection came while the tunnel is down, and waits; `waiting` with it: more than before since it went down. */
  | { readonly kind: 'held'; readonly forward: ForwardRef; readonly waiting: number }
  /**
   * Connections could not be carried and were reset: `count` of them since that was last told, and why the last one was.
   * `isMixed`: the others may have had other reasons.
   */
  | {
      readonly kind: 'trouble'
      readonly forward: ForwardRef
      readonly error: KeytoolError
      readonly count: number
      readonly isMixed: boolean
    }
  /** The tunnel ends, and something of a forward stays behind: its socket's path, say. */
  | { readonly kind: 'leftover'; readonly forward: ForwardRef; readonly error: KeytoolError }
  /** The machine woke or its network changed: it is looked at once. */
  | { readonly kind: 'roused'; readonly why: NetworkEvent }

/** Something that happened to a tunnel. `at`: milliseconds since the epoch. */
export type TunnelEvent = Happening & { readonly at: number }

export type TellEvent = (event: Happening) => void
