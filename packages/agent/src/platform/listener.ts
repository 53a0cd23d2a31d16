import type { PlaceOptions } from './place-check.js'

/** Where an agent can be reached, from opening to closing. */
export interface Listener {
  readonly path: string
  /** Stops listening and leaves nothing of ours behind. Connections that are open are not its business. */
  close(): Promise<void>
}

export interface ListenOptions extends PlaceOptions {
  /** Called when the place is certainly ours: just before anybody can connect, or on a pipe, just after. */
  readonly announce?: () => Promise<void>
  /** The descriptor of a socket that listens at the path already, and is not ours to remove: see `takeHandedSocket`. */
  readonly handed?: number
  /** Milliseconds to wait for others that are starting at the same moment. Default 10 s. */
  readonly patience?: number
}
