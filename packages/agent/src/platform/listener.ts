/** Where an agent can be reached, from opening to closing. */
export interface Listener {
  readonly path: string
  /** Stops listening and leaves nothing behind. Connections that are open are not its business. */
  close(): Promise<void>
}

export interface ListenOptions {
  /** Called when the place is certainly ours: just before anybody can connect, or on a pipe, just after. */
  readonly announce?: () => Promise<void>
  /**
   * The user named the place: then its folder may be one that others can look into, such as /tmp, as long as they
   * can't put anything of theirs in the socket's stead. Default false: the folder is the user's alone.
   */
  readonly named?: boolean
  /** Milliseconds to wait for others that are starting at the same moment. Default 10 s. */
  readonly patience?: number
}
