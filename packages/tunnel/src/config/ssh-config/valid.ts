/**
 * Whether a host's name may be put into a command: nothing in it means anything to a shell, and it is no option
 * (OpenSSH's `ssh_valid_hostname`, since 9.6).
 */
export function isHarmlessHost(host: string): boolean {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  return host !== '' && !/^-|['`"$\\;&<>|(){},\s\u0000-\u001f\u007f]/.test(host)
}

/** The same for a user's name (`ssh_valid_ruser`): blanks and a backslash may stand within, as in a domain's accounts. */
export function isHarmlessUser(user: string): boolean {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  return user !== '' && !/^-|['`";&<>|(){}\u0000-\u001f\u007f]|\s-|\\$/.test(user)
}
