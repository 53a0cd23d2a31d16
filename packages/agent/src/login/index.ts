export { agentAtLogin } from './agent.js'
export { type FileState, type FoundFile, type LoginDisk, loginDisk } from './disk.js'
export { loginFacts } from './facts.js'
export { findLoginService, type LoginService, type LoginState } from './find.js'
export { type InstallOptions, installLogin, type LoginEffects, type LoginReport, uninstallLogin } from './install.js'
export { chooseLoginKind, loginKindsOf, subjectOf } from './kinds.js'
export { wholeText } from './mark.js'
export type {
  Command,
  LoginFacts,
  LoginFile,
  LoginJob,
  LoginKind,
  LoginKindName,
  LoginPlan,
  LoginSubject,
  Step,
  Traces,
  Variable,
  Words,
} from './service.js'
export { createRunTool, type RunTool } from './tools.js'
export { placeVariables, programWords } from './words.js'
