export {
  type AddOptions,
  type Agent,
  type Client,
  fingerprintOf,
  type Identity,
  type KeyState,
  type Offer,
  publicKeyOf,
  type SealedOffer,
  type SessionBind,
} from './agent.js'
export { type AgentClient, type ConnectOptions, connectAgent } from './client/client.js'
export { type FoundAgent, findAgent, findServer } from './client/find.js'
export { type KnownAgent, knownAgentAt } from './client/known-agents.js'
export { openAgentStream } from './client/stream.js'
export type { Gate, Use } from './gates/gate.js'
export { createLock, type Lock, type LockOptions } from './gates/lock.js'
export {
  type DestinationSpec,
  type LookupHost,
  parseDestination,
  resolveDestination,
} from './hosts/destination-spec.js'
export { createHosts, type Hosts, type KnownKey } from './hosts/hosts.js'
export { type AgentSettings, type KeepOptions, type KeptAgent, keepAgent } from './keep.js'
export { createKeychain } from './keychain/create.js'
export type { Keychain, KeychainEntry, KeychainOptions, KeychainState } from './keychain/keychain.js'
export type { LedgerAction, LedgerEntry, LedgerRecord } from './ledger/entry.js'
export { createLedger, type Ledger, type LedgerOptions } from './ledger/ledger.js'
export { ledgerFolder } from './ledger/place.js'
export { readLedger } from './ledger/read.js'
export { type Verification, verifyLedger } from './ledger/verify.js'
export type { Problem as LedgerProblem } from './ledger/walk.js'
export {
  agentAtLogin,
  type Command,
  chooseLoginKind,
  createRunTool,
  type FileState,
  type FoundFile,
  findLoginService,
  type InstallOptions,
  installLogin,
  type LoginDisk,
  type LoginEffects,
  type LoginFacts,
  type LoginFile,
  type LoginJob,
  type LoginKind,
  type LoginKindName,
  type LoginPlan,
  type LoginReport,
  type LoginService,
  type LoginState,
  type LoginSubject,
  loginDisk,
  loginFacts,
  loginKindsOf,
  placeVariables,
  programWords,
  type RunTool,
  type Step,
  subjectOf,
  type Traces,
  uninstallLogin,
  type Variable,
  type Words,
  wholeText,
} from './login/index.js'
export { type PidFile, pidFileBeside, readPidFile, removePidFile, writePidFile } from './pid-file.js'
export { listen } from './platform/listen.js'
export type { Listener, ListenOptions } from './platform/listener.js'
export { checkPlace, type PlaceOptions } from './platform/place-check.js'
export { withKeyRule } from './policy/edit.js'
export { parsePolicy } from './policy/parse.js'
export type { KeyRule, Policy } from './policy/policy.js'
export { decodeMessage, encodeMessage } from './protocol/codec.js'
export { constraints } from './protocol/constraints.js'
export { type ExtensionName, type Extensions, extensions } from './protocol/extensions.js'
export { flagsOf, hashOfFlags } from './protocol/flags.js'
export { FrameSplitter, MAX_MESSAGE } from './protocol/frame.js'
export {
  type Replies,
  type ReplyName,
  type RequestName,
  type Requests,
  type Row,
  replies,
  requests,
} from './protocol/messages.js'
export { type Purpose, readPurpose } from './purpose.js'
export { type KeyReport, type OrderReport, type StatusReport, showDestination } from './reports.js'
export { createRing, type Ring } from './ring/ring.js'
export type { Arranger, RingOptions, Witness } from './ring/ring-core.js'
export { type RunningAgent, type RunOptions, runAgent } from './run.js'
export { SealedKey } from './sealed.js'
export { Budget } from './server/budget.js'
export type { Connection, ConnectionLimits } from './server/connection.js'
export { type Doorkeeper, LIMITS, type Limits, type Service, serve, serveConnection } from './server/server.js'
export { type ShellStyle, shellLines, shellStyle, shellUnsetLines } from './shell.js'
export type { Destination, Hop, Terms } from './terms.js'
export type { Binding, Bound, Caller, Peer, Program } from './who.js'
