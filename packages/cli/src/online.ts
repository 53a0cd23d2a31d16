import type { Run } from './context.js'

export type OnlineCommand =
  | 'add'
  | 'agent'
  | 'audit'
  | 'compromised'
  | 'connect'
  | 'doctor'
  | 'install-pubkey'
  | 'keychain'
  | 'known-hosts'
  | 'list'
  | 'lock'
  | 'log'
  | 'overview'
  | 'reencrypt'
  | 'remove'
  | 'remove-pubkey'
  | 'rotate'
  | 'session'
  | 'setup'
  | 'tunnel'
  | 'unlock'

/** The commands that talk to the agent or to servers, each loaded when it runs. See `main.ts`. */
export const onlineCommands: Readonly<Record<OnlineCommand, () => Promise<{ run: Run }>>> = {
  add: () => import('./commands/add.js'),
  agent: () => import('./commands/agent.js'),
  audit: () => import('./commands/audit.js'),
  compromised: () => import('./commands/compromised.js'),
  connect: () => import('./commands/connect.js'),
  doctor: () => import('./commands/doctor.js'),
  'install-pubkey': () => import('./commands/install-pubkey.js'),
  keychain: () => import('./commands/keychain.js'),
  'known-hosts': () => import('./commands/known-hosts.js'),
  list: () => import('./commands/list.js'),
  lock: () => import('./commands/lock.js'),
  log: () => import('./commands/log.js'),
  overview: () => import('./commands/overview.js'),
  reencrypt: () => import('./commands/reencrypt.js'),
  remove: () => import('./commands/remove.js'),
  'remove-pubkey': () => import('./commands/remove-pubkey.js'),
  rotate: () => import('./commands/rotate.js'),
  session: () => import('./commands/session.js'),
  setup: () => import('./commands/setup.js'),
  tunnel: () => import('./commands/tunnel.js'),
  unlock: () => import('./commands/unlock.js'),
}

/** For `gen --add`. */
export const loadAgentLink = (): Promise<typeof import('./agent-link.js')> => import('./agent-link.js')

/** For `gen --remember`, and `passphrase` of a key that is remembered. */
export const loadRemembered = (): Promise<typeof import('./remembered.js')> => import('./remembered.js')
