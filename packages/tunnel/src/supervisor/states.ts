import { KeytoolError } from '@keytool/keygen'

/** Where a tunnel stands. `since` is in milliseconds, as the clock gives them. */
export type TunnelState =
  | { readonly name: 'idle'; readonly since: number }
  | { readonly name: 'connecting'; readonly since: number }
  | { readonly name: 'up'; readonly since: number }
  /** The end. With an error when nobody asked for it. */
  | { readonly name: 'stopped'; readonly since: number; readonly error?: KeytoolError }

export type StateName = TunnelState['name']

/** From each state, where it may go. */
const moves: Readonly<Record<StateName, readonly StateName[]>> = {
  idle: ['connecting', 'stopped'],
  connecting: ['up', 'stopped'],
  up: ['stopped'],
  stopped: [],
}

/** Holds the one state of a tunnel and tells about each change. */
export class StateMachine {
  readonly #now: () => number
  readonly #onState: (state: TunnelState) => void
  #state: TunnelState

  constructor(now: () => number, onState: (state: TunnelState) => void) {
    this.#now = now
    this.#onState = onState
    this.#state = { name: 'idle', since: now() }
  }

  get state(): TunnelState {
    return this.#state
  }

  /** @throws KeytoolError `failed` for a move that the table does not have: a mistake in here, not the user's */
  moveTo(name: StateName, error?: KeytoolError): void {
    if (!moves[this.#state.name].includes(name)) {
      throw new KeytoolError('failed', `a tunnel can't go from ${this.#state.name} to ${name}`)
    }
    const since = this.#now()
    this.#state = name === 'stopped' ? { name, since, ...(error && { error }) } : { name, since }
    this.#onState(this.#state)
  }
}
