export { findCharset, terminalCharset } from './charset/charset.js'
export { type Charset, charsetNames, lookUpCharset } from './charset/names.js'
export { makeTranscoder, type Transcoder, transcodingStream } from './charset/transcoder.js'
export { type ForPutty, formatPuttyRegistry, formatPuttySession, puttyFromSession } from './config/putty/export.js'
export { detectSaved, merge as mergeSaved, readSaved, type SavedBy, type SavedForm } from './config/putty/saved.js'
export { sessionFromPutty } from './config/putty/session.js'
export type { Saved, SavedHostKey, SavedSettings } from './config/putty/settings.js'
export { readJump } from './config/ssh-config/jump.js'
export { readSshConfig, type SshConfigOptions } from './config/ssh-config/read.js'
export type { HostQuery, HostSettings, IgnoredSetting } from './config/ssh-config/settings.js'
export type { AlgorithmLists } from './connection/algorithm-lists.js'
export { caSchemesIn, checkWeak, weakAlgorithmsIn } from './connection/algorithms.js'
export type { AskPassword, AuthOptions, PasswordPrompt } from './connection/auth.js'
export { type AuthMethod, authMethodsIn } from './connection/auth-methods.js'
export { type ConnectOptions, connect } from './connection/connect.js'
export type {
  Admission,
  Connection,
  ExecOptions,
  ExecResult,
  Exit,
  Incoming,
  Origin,
  RemoteListener,
  RemotePlace,
  RemoteSession,
  SessionRequest,
  TerminalSize,
} from './connection/connection.js'
export { type DialOptions, dial } from './connection/dial.js'
export type { OnHostKeys, Prove } from './connection/host-key-news.js'
export {
  type ConfirmHost,
  type HostPolicy,
  type HostVerdict,
  isLongEnough,
  knownAs,
  type StrictHostKeyChecking,
  type UnknownHost,
  verifyHost,
} from './connection/hostkeys.js'
export type { HostProof } from './connection/kex/exchanges.js'
export { type CommandDialOptions, dialByCommand } from './connection/proxy-command.js'
export type { Forward, ForwardLimits, ForwardOptions, Link } from './forwards/forward.js'
export { openForward } from './forwards/open.js'
export { type Counters, pump, zeroCounters } from './forwards/pump.js'
export {
  type ForwardKind,
  type ForwardOf,
  type ForwardSpec,
  formatForward,
  formatListen,
  formatPlace,
  formatTarget,
  forwardOption,
  isOpenToOthers,
  type ListenPlace,
  parseForward,
  type TargetPlace,
} from './forwards/spec.js'
export { type Forgotten, forgetHost } from './known-hosts/forget.js'
export {
  type HostKeyChanges,
  type HostKeyUpdate,
  type UpdateHostKeysOptions,
  updateHostKeys,
} from './known-hosts/rotate.js'
export { type KnownHost, KnownHosts, type KnownHostsOptions, type Lookup, type Place } from './known-hosts/store.js'
export { loginLog, tunnelAtLogin } from './login/at-login.js'
export type { NetworkEvent, WatchNetwork } from './platform/network-watch.js'
export { findPortOwner, type PortOwner } from './platform/port-owner.js'
export type { ProbeKind } from './probe/kinds.js'
export { type ProbeOptions, probe } from './probe/probe.js'
export { askTunnel, type FoundTunnel, findTunnels, stopTunnel } from './running/ask.js'
export { forgetStopped, listStopped, noteStopped } from './running/last.js'
export { keyOfTunnel, type RunningPlaces } from './running/place.js'
export { serveTunnel, type TunnelDesk } from './running/serve.js'
export type { RunningTunnel } from './running/words.js'
export { findLines, formatAuthorizedKey } from './servers/authorized-keys.js'
export {
  fetchAuthorizedKeys,
  type InstallOptions,
  type InstallResult,
  installPublicKey,
  verifyKeyAlone,
} from './servers/install.js'
export { checkKeyOptions } from './servers/key-options.js'
export { type SshConfigSource, sessionsFromSshConfig } from './sessions/from-ssh-config.js'
export {
  type Carried,
  type ImportCandidate,
  type ImportedSession,
  type ImportOptions,
  type ImportState,
  importSessions,
  type Passed,
} from './sessions/import.js'
export { type HostKeyState, type ImportedHostKey, importHostKeys } from './sessions/import-host-keys.js'
export { isSameSession } from './sessions/same.js'
export { checkSession, checkSessionName, type Session } from './sessions/schema.js'
export { formatSshConfig, notInSshConfig } from './sessions/ssh-config.js'
export { type SessionList, SessionStore } from './sessions/store.js'
export { checkHost, checkPort, checkUser, parseTarget, type Target } from './sessions/target.js'
export { type Clock, systemClock } from './supervisor/clock.js'
export type { ForwardRef, ForwardState, TunnelEvent } from './supervisor/events.js'
export type { ForwardStatus } from './supervisor/kept-forward.js'
export { formatEvent } from './supervisor/log-line.js'
export type { StateName, TunnelState } from './supervisor/states.js'
export { type Attempt, holdTunnel, type Tunnel, type TunnelOptions, type TunnelStatus } from './supervisor/tunnel.js'
