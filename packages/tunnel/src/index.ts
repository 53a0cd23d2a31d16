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
export { type AskPassword, type AuthOptions, HalfLogin, type PasswordPrompt } from './connection/auth.js'
export { type AuthMethod, authMethodsIn } from './connection/auth-methods.js'
export { type CertificateTrouble, judgeCertificate } from './connection/certificate-trouble.js'
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
  RevokedHostKey,
  type StrictHostKeyChecking,
  type UnknownHost,
  verifyHost,
} from './connection/hostkeys.js'
export type { HostProof } from './connection/kex/exchanges.js'
export { NoMatch } from './connection/no-match.js'
export { type CommandDialOptions, dialByCommand } from './connection/proxy-command.js'
export type { Clues } from './doctor/cause.js'
export { type Cause, causes } from './doctor/causes.js'
export { type Diagnosis, diagnose } from './doctor/diagnosis.js'
export { farewellOf } from './doctor/facts.js'
export { checkForward, type ForwardVerdict } from './doctor/forward-check.js'
export { checkListen } from './doctor/listen-check.js'
export { lookAtClosed, lookForKeys } from './doctor/look-on-server.js'
export { type AgentState, greetingIn, type KeyTry, type Observed } from './doctor/observed.js'
export { judge } from './doctor/symptoms.js'
export { watchStream } from './doctor/watched-stream.js'
export type { Forward, ForwardLimits, ForwardOptions, Link } from './forwards/forward.js'
export { type ListenerHere, listenHere, type SpecHere } from './forwards/listen.js'
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
export { removeName } from './known-hosts/removal.js'
export { type RewriteOptions, rewriteOwn } from './known-hosts/rewrite.js'
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
export { findAdmission } from './servers/admission.js'
export { findKeyPlaces, type KeyPlace, type KeyPlaces } from './servers/audit-key.js'
export { type LogOptions, readLastUses } from './servers/audit-log.js'
export { type AuditedAccount, type AuditedFile, type AuditOptions, auditServer } from './servers/audit-server.js'
export { addKeyLine, findLines, formatAuthorizedKey, removeKeyLines } from './servers/authorized-keys.js'
export { type ChangeOptions, changeKeyFile } from './servers/change.js'
export { type InstallOptions, type InstallResult, installPublicKey } from './servers/install.js'
export type { KeyFile, KeyFileFinding, KeyFileWay, OpenKeyFile, OpenKeyFileOptions } from './servers/key-file.js'
export { checkKeyOptions } from './servers/key-options.js'
export type { KeyUse, LastUses } from './servers/last-use.js'
export { openKeyFile } from './servers/open-key-file.js'
export { type RemoveOptions, type RemoveResult, removePublicKey } from './servers/remove.js'
export { removeEmptied } from './servers/remove-emptied.js'
export type { AdmittedBy, HostResult, HostRotation, RotationDoor, RotationKeys } from './servers/rotation/door.js'
export {
  type Followed,
  type HostRecord,
  type Journal,
  keyIn,
  type RotatedKey,
} from './servers/rotation/journal.js'
export { planAdding } from './servers/rotation/lines.js'
export { takeLock } from './servers/rotation/lock.js'
export { openDoor, type RotationServer } from './servers/rotation/open-door.js'
export { checkOwn } from './servers/rotation/own.js'
export { rollBackHost } from './servers/rotation/roll-back-host.js'
export { rotateHost } from './servers/rotation/rotate-host.js'
export { type HostState, isGoingBack, meanings } from './servers/rotation/states.js'
export { type HeldJournal, RotationStore } from './servers/rotation/store.js'
export {
  type LineCode,
  type LineFinding,
  type SurveyedLine,
  type SurveyOptions,
  surveyKeys,
} from './servers/survey.js'
export { type Verified, verifyKeyAlone } from './servers/verify.js'
export { explainRefusal, type RefusalCause, type RefusalReport } from './servers/why-refused.js'
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
