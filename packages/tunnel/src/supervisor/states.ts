import { KeytoolError } from '@keytool/keygen'

/** A state to go to, before its time is known. */
export type Move =
  | { readonly name: 'connecting' }
  | { readonly name: 'up' }
  /** Not connected just now, and why. `until` the next try, in milliseconds since the epoch; absent while a key is waited for. */
  | { readonly name: 'waiting'; readonly until?: number; readonly error: KeytoolError }
  /** The end. With an error when nobody asked for it. */
  | { readonly name: 'stopped'; readonly error?: KeytoolError }

/** Where a tunnel stands. `since` is in milliseconds, as the clock gives them. */
export type TunnelState = ({ readonly name: 'idle' } | Move) & { readonly since: number }

export type StateName = TunnelState['name']

/** From each state, where it may go. */
const moves: Readonly<Record<StateName, readonly Move['name'][]>> = {
  idle: ['connecting', 'stopped'],
  connecting: ['up', 'waiting', 'stopped'],
  up: ['waiting', 'stopped'],
  waiting: ['connecting', 'stopped'],
  stopped: [],
}

/** Holds the one state of a tunnel and tells about each change. */
export class StateMachine {
  readonly #now: () => number
  readonly #onState: (state: TunnelState, from: StateName) => void
  #state: TunnelState

  constructor(now: () => number, onState: (state: TunnelState, from: StateName) => void) {
    this.#now = now
    this.#onState = onState
    this.#state = { name: 'idle', since: now() }
  }

  get state(): TunnelState {
    return this.#state
  }

  /** @throws KeytoolError `failed` for a move that the table does not have: a mistake in here, not the user's */
  moveTo(move: Move): void {
    const from = this.#state.name
    if (!moves[from].includes(move.name)) {
      throw new KeytoolError('failed', `a tunnel can't go from ${from} to ${move.name}`)
    }
    this.#state = { ...move, since: this.#now() }
    this.#onState(this.#state, from)
  }
}
