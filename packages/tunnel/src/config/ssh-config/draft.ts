import type { ForwardSpec } from '../../forwards/spec.js'
import type { Place, Said } from './place.js'
import type { HostQuery, IgnoredSetting, PlainSettings } from './settings.js'

/** One host of ProxyJump, before its tokens are put in. */
export interface Hop {
  readonly user?: string
  readonly host: string
  readonly port?: number
}

/** A jump as it was said: the hosts in the order they are dialled. */
export interface Jump {
  readonly hops: readonly Hop[]
  readonly said: Said
}

/** What may be said once, as text whose tokens are put in at the end. */
export type TextName =
  | 'hostName'
  | 'user'
  | 'hostKeyAlias'
  | 'identityAgent'
  | 'forwardAgentPath'
  | 'proxyCommand'
  | 'remoteCommand'
  | 'ignoreUnknown'

/** Files of which the first line that names any wins, and those that every line adds to. */
export type FirstList = 'userKnownHosts' | 'globalKnownHosts' | 'revokedHostKeys'
export type GrowingList = 'identityFiles' | 'certificateFiles'

/** A forward whose paths may have tokens in them. */
export interface SaidForward {
  readonly spec: ForwardSpec
  readonly said: Said
}

/** What was read so far. The first word on a thing stands. */
export interface Draft {
  readonly plain: { -readonly [Name in keyof PlainSettings]?: PlainSettings[Name] | undefined }
  readonly texts: { [Name in TextName]?: Said }
  readonly lists: { [Name in FirstList]?: readonly Said[] } & { [Name in GrowingList]?: Said[] }
  readonly forwards: SaidForward[]
  readonly sendEnv: string[]
  setEnv: readonly Said[] | undefined
  jump: Jump | 'none' | undefined
  clearAllForwardings: boolean | undefined
  forwardAgent: boolean | undefined
  readonly ignored: IgnoredSetting[]
  /** The first word on each thing that is not done here and can't be left out: whether it asks for that. */
  readonly needed: Map<string, { readonly place: Place; readonly isAsked: boolean }>
}

/** What the command line says stands before all files. */
export function startDraft({ user, port }: HostQuery): Draft {
  return {
    plain: port === undefined ? {} : { port },
    texts: user === undefined ? {} : { user: { text: user, place: { file: 'the command line', line: 0 } } },
    lists: {},
    forwards: [],
    sendEnv: [],
    setEnv: undefined,
    jump: undefined,
    clearAllForwardings: undefined,
    forwardAgent: undefined,
    ignored: [],
    needed: new Map(),
  }
}

/** Notes what is not done, once for each place. */
export function ignore(draft: Draft, setting: IgnoredSetting): void {
  const isSame = ({ keyword, file, line }: IgnoredSetting) =>
    keyword === setting.keyword && file === setting.file && line === setting.line
  if (!draft.ignored.some(isSame)) draft.ignored.push(setting)
}
