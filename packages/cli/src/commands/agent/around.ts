import {
  findLoginService,
  type KeychainState,
  type LoginService,
  type LoginState,
  loginFacts,
  type StatusReport,
} from '@keytool/agent'
import type { Context } from '../../context.js'
import { openKeychain } from '../../keychain.js'

/** What an agent depends on, as this shell finds it. */
export interface Around {
  readonly keychain: KeychainState
  readonly login: LoginService
}

/** Who asks how things stand does not want to wait for a keychain that hangs. In milliseconds. */
const PATIENCE = 2_000

export async function lookAround(context: Context): Promise<Around> {
  const { program, places, env } = context
  const asked = openKeychain(context, PATIENCE).state()
  const [keychain, login] = await Promise.all([asked, findLoginService(loginFacts(program, places, env))])
  return { keychain, login }
}

/** What the agent itself has seen of it last; undefined where it has not looked yet, or does not tell. */
export function keychainOf(status: StatusReport | undefined): KeychainState | undefined {
  const seen = status?.['keychain']
  return isState(seen) ? seen : undefined
}

export const keychainWords: Readonly<Record<KeychainState, string>> = {
  unlocked: 'unlocked',
  locked: 'locked',
  none: 'none here',
}

function isState(value: unknown): value is KeychainState {
  return typeof value === 'string' && Object.hasOwn(keychainWords, value)
}

/** How a login service is called that is not in order, and what is to be done about it. */
const flaws: Readonly<Partial<Record<LoginState, string>>> = {
  disabled: 'is written, and not enabled',
  incomplete: 'is there in part',
  outdated: 'is about another place or version of this program',
  unreadable: "can't be read, or is not what it should be",
}

export function describeLogin({ kind, state }: LoginService, { name }: Context): string {
  if (kind === 'none') return `not started; to have it so: ${name} agent install`
  const flaw = state && flaws[state]
  return flaw ? `${kind}, which ${flaw}: ${name} agent install` : `started by ${kind}`
}
