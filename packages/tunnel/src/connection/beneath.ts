import type { Protocol } from './insides.js'
import type { PacketProtocol } from './packets/take-over.js'

/** What is told of messages that the engine keeps to itself. */
export interface Told {
  /** A login attempt was refused, or was not enough: RFC 4252 section 5.1. */
  onRefusal(methods: readonly string[], partial: boolean): void
  /** The server said which signatures it takes (`server-sig-algs`, RFC 8308 section 3.1). */
  onSignatureAlgorithms(names: readonly string[]): void
  /** The server takes a key, which is to be the one it was asked about; throws otherwise. */
  onKeyTaken(blob: Buffer): void
  /** A request of the server's about the whole connection (RFC 4254 section 4). */
  onGlobalRequest(name: string, data: unknown): void
  /** The server said something to whoever logs in (SSH_MSG_USERAUTH_BANNER, RFC 4252 section 5.4). */
  onBanner(text: string): void
  /** The server asks, or only says something (SSH_MSG_USERAUTH_INFO_REQUEST, RFC 4256 section 3.2). */
  onQuestions(name: string, instruction: string, prompts: readonly string[]): void
  /** The server said something for people to read (SSH_MSG_DEBUG, RFC 4253 section 11.3). */
  onRemark(text: string): void
}

interface Stream {
  on(event: 'error', listener: () => void): unknown
}

/** What is used of ssh2 1.17 beyond its documentation; the version is pinned for it. */
export interface Beneath {
  /** The server's software, once its identification line was read. */
  readonly _remoteVer?: string
  /** Open channels by our numbers for them. */
  readonly _chanMgr: { get(id: number): { readonly stderr?: Stream } | undefined }
  /** Who waits for the answers to our global requests, in order. */
  readonly _callbacks: ((failed: unknown, data?: Buffer | null) => void)[]
  /** What arrives, by the name of the message. */
  readonly _protocol: Protocol &
    PacketProtocol & {
      /** Sends keepalive@openssh.com. */
      ping(): void
      readonly _handlers: {
        DEBUG?: (protocol: unknown, display: boolean, text: string) => void
        EXT_INFO: (
          protocol: unknown,
          extensions: readonly { readonly name: string; readonly algs?: string[] }[],
        ) => void
        USERAUTH_BANNER?: (protocol: unknown, text: string) => void
        USERAUTH_INFO_REQUEST: (
          protocol: unknown,
          name: string,
          instruction: string,
          prompts: readonly { readonly prompt: string }[],
        ) => void
        USERAUTH_PK_OK: (protocol: unknown, algorithm: string, key: Buffer) => void
        USERAUTH_FAILURE: (protocol: unknown, methods: string[], partial: boolean) => void
        CHANNEL_OPEN_CONFIRMATION: (protocol: unknown, info: { readonly recipient: number }) => void
        GLOBAL_REQUEST: (protocol: { requestFailure(): void }, name: string, wantReply: boolean, data: unknown) => void
      }
    }
}

/** Puts right what the engine does with some messages. Called once it has its protocol, before anything arrived. */
export function mendHandlers(engine: Beneath, told: Told): void {
  const handlers = engine._protocol._handlers
  const { EXT_INFO: extend, USERAUTH_PK_OK: take } = handlers
  const { USERAUTH_FAILURE: refuse, USERAUTH_INFO_REQUEST: ask, CHANNEL_OPEN_CONFIRMATION: confirm } = handlers
  handlers.EXT_INFO = (protocol, extensions) => {
    const found = extensions.find(({ name }) => name === 'server-sig-algs')
    if (found?.algs) told.onSignatureAlgorithms(found.algs)
    extend(protocol, extensions)
  }
  handlers.USERAUTH_PK_OK = (protocol, algorithm, key) => {
    told.onKeyTaken(key)
    take(protocol, algorithm, key)
  }
  // It does not hand on what the server answers to a key from an agent.
  handlers.USERAUTH_FAILURE = (protocol, methods, partial) => {
    told.onRefusal(methods, partial)
    refuse(protocol, methods, partial)
  }
  // Words on stderr after the end are an error there, even before anybody was given the channel to listen.
  handlers.CHANNEL_OPEN_CONFIRMATION = (protocol, info) => {
    // Said again for a channel that is open it means nothing; it is a function until then.
    const before = engine._chanMgr.get(info.recipient)
    confirm(protocol, info)
    const opened = engine._chanMgr.get(info.recipient)
    if (opened !== before) opened?.stderr?.on('error', () => {})
  }
  handlers.USERAUTH_BANNER = (_protocol, text) => told.onBanner(text)
  // One without questions it answers by itself, and nobody would hear what it says.
  handlers.USERAUTH_INFO_REQUEST = (protocol, name, instruction, prompts) => {
    told.onQuestions(
      name,
      instruction,
      prompts.map(({ prompt }) => prompt),
    )
    ask(protocol, name, instruction, prompts)
  }
  handlers.DEBUG = (_protocol, _display, text) => told.onRemark(text)
  // It would ask the server to prove each host key it shows, and remember every question until it is answered.
  handlers.GLOBAL_REQUEST = (protocol, name, wantReply, data) => {
    if (wantReply) protocol.requestFailure()
    told.onGlobalRequest(name, data)
  }
}
