export type { AskPassword, AuthOptions, PasswordPrompt } from './connection/auth.js'
export { type ConnectOptions, connect } from './connection/connect.js'
export type { Admission, Connection, ExecOptions, ExecResult, Origin } from './connection/connection.js'
export { type DialOptions, dial } from './connection/dial.js'
export { type ConfirmHost, type HostPolicy, type UnknownHost, verifyHost } from './connection/hostkeys.js'
export { type LocalForward, listenLocal, type OpenTarget } from './forwards/local.js'
export { type Counters, pump, zeroCounters } from './forwards/pump.js'
export {
  type ForwardKind,
  formatForward,
  formatPlace,
  isOpenToOthers,
  type LocalForwardSpec,
  parseForward,
} from './forwards/spec.js'
export { KnownHosts, type KnownHostsOptions, type Lookup, type Place } from './known-hosts/store.js'
export { findPortOwner, type PortOwner } from './platform/port-owner.js'
export { findLines, formatAuthorizedKey } from './servers/authorized-keys.js'
export {
  fetchAuthorizedKeys,
  type InstallOptions,
  type InstallResult,
  installPublicKey,
  verifyKeyAlone,
} from './servers/install.js'
export { checkKeyOptions } from './servers/key-options.js'
export { checkSession, checkSessionName, type Session } from './sessions/schema.js'
export { type SessionList, SessionStore } from './sessions/store.js'
export { checkHost, checkPort, checkUser, parseTarget, type Target } from './sessions/target.js'
export type { StateName, TunnelState } from './supervisor/states.js'
export { holdTunnel, type Tunnel, type TunnelOptions } from './supervisor/tunnel.js'
