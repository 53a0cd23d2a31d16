/** Ways to log in that exist here, in the order they are tried when nobody says another. */
export const AUTH_METHODS = ['publickey', 'keyboard-interactive', 'password'] as const

/** A way to log in, as RFC 4252 and RFC 4256 name it. */
export type AuthMethod = (typeof AUTH_METHODS)[number]

/** What an `ssh_config` says of the ways to log in. */
export interface AuthSettings {
  readonly pubkeyAuthentication?: boolean
  readonly kbdInteractiveAuthentication?: boolean
  readonly passwordAuthentication?: boolean
  /** Best first. */
  readonly preferredAuthentications?: readonly string[]
}

/** Each with the setting that switches it off. */
const switches: Readonly<Record<AuthMethod, keyof AuthSettings & `${string}Authentication`>> = {
  publickey: 'pubkeyAuthentication',
  'keyboard-interactive': 'kbdInteractiveAuthentication',
  password: 'passwordAuthentication',
}

/**
 * Which ways may be tried, best first, as ssh takes these settings: one that PreferredAuthentications does not name is never
 * used, and each setting is about its own way alone.
 */
export function authMethodsIn(settings: AuthSettings): AuthMethod[] {
  const { preferredAuthentications = AUTH_METHODS } = settings
  const wanted = preferredAuthentications.filter(isMethod).filter(method => settings[switches[method]] !== false)
  return [...new Set(wanted)]
}

/** `-o` lines that let a way in, whatever left it out. */
export function optionsFor(method: AuthMethod): string {
  const name = switches[method]
  return `-o ${name[0]?.toUpperCase()}${name.slice(1)}=yes -o PreferredAuthentications=${method}`
}

export function isMethod(name: string): name is AuthMethod {
  return (AUTH_METHODS as readonly string[]).includes(name)
}
