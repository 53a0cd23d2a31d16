/** Told of a login attempt that was refused, or was not enough: RFC 4252 section 5.1. */
type OnRefusal = (methods: readonly string[], partial: boolean) => void

interface Stream {
  on(event: 'error', listener: () => void): unknown
}

/** What is used of ssh2 1.17 beyond its documentation; the version is pinned for it. */
export interface Beneath {
  /** The server's software, once its identification line was read. */
  readonly _remoteVer?: string
  /** Open channels by our numbers for them. */
  readonly _chanMgr: { get(id: number): { readonly stderr?: Stream } | undefined }
  /** What arrives, by the name of the message. */
  readonly _protocol: {
    readonly _handlers: {
      USERAUTH_FAILURE: (protocol: unknown, methods: string[], partial: boolean) => void
      CHANNEL_OPEN_CONFIRMATION: (protocol: unknown, info: { readonly recipient: number }) => void
      GLOBAL_REQUEST: (protocol: { requestFailure(): void }, name: string, wantReply: boolean) => void
    }
  }
}

/** Puts right what the engine does with some messages. Called once it has its protocol, before anything arrived. */
export function mendHandlers(engine: Beneath, onRefusal: OnRefusal): void {
  const handlers = engine._protocol._handlers
  const { USERAUTH_FAILURE: refuse, CHANNEL_OPEN_CONFIRMATION: confirm } = handlers
  // It does not hand on what the server answers to a key from an agent.
  handlers.USERAUTH_FAILURE = (protocol, methods, partial) => {
    onRefusal(methods, partial)
    refuse(protocol, methods, partial)
  }
  // Words on stderr after the end are an error there, even before anybody was given the channel to listen.
  handlers.CHANNEL_OPEN_CONFIRMATION = (protocol, info) => {
    confirm(protocol, info)
    engine._chanMgr.get(info.recipient)?.stderr?.on('error', () => {})
  }
  // It would ask the server to prove each host key it shows, and remember every question until it is answered.
  handlers.GLOBAL_REQUEST = (protocol, _name, wantReply) => {
    if (wantReply) protocol.requestFailure()
  }
}
