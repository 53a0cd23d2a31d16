export { type Agent, type Client, type Identity, type Offer, publicKeyOf } from './agent.js'
export { Budget } from './budget.js'
export { type AgentClient, type ConnectOptions, connectAgent } from './client.js'
export type { Connection, ConnectionLimits } from './connection.js'
export { type FoundAgent, findAgent } from './find.js'
export type { Gate, Use } from './gates/gate.js'
export { createLock, type Lock, type LockOptions } from './gates/lock.js'
export { type PidFile, pidFileBeside, readPidFile, removePidFile, writePidFile } from './pid-file.js'
export { listen } from './platform/listen.js'
export type { Listener, ListenOptions } from './platform/listener.js'
export { checkPlace, type PlaceOptions } from './platform/place-check.js'
export { decodeMessage, encodeMessage } from './protocol/codec.js'
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
export { createRing, type Ring, type RingOptions } from './ring.js'
export { type RunningAgent, type RunOptions, runAgent } from './run.js'
export { LIMITS, type Limits, type Service, serve, serveConnection } from './server.js'
export { type ShellStyle, shellLines, shellStyle, shellUnsetLines } from './shell.js'
