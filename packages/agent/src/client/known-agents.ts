/** An agent that is known by where it listens. */
export interface KnownAgent {
  /** What its users call it, as in "1Password's agent". */
  readonly name: string
  /** Whether it lies on another machine: what it lends for a session is not to be kept at hand for other sessions. */
  readonly isForwarded: boolean
}

interface Row {
  readonly name: string
  readonly place: RegExp
  readonly isForwarded?: true
}

/** Where they listen by their own documentation. Paths with forward slashes. */
const rows: readonly Row[] = [
  { name: 'gnome-keyring', place: /\/keyring(?:-\w+)?\/\.?ssh$/ },
  { name: 'gcr-ssh-agent', place: /\/gcr\/\.?ssh$/ },
  { name: 'gpg-agent', place: /\/S\.gpg-agent\.ssh$/ },
  { name: '1Password', place: /\/(?:\.1password|[^/]+\.com\.1password\/t)\/agent\.sock$/ },
  { name: 'Bitwarden', place: /\/\.bitwarden-ssh-agent\.sock$/ },
  { name: 'Secretive', place: /\/com\.maxgoedjen\.Secretive\.SecretAgent\/.*socket\.ssh$/ },
  { name: "macOS's ssh-agent", place: /\/com\.apple\.launchd\.[^/]+\/Listeners$/ },
  { name: 'PuTTY', place: /\/pageant\.[^/]+\/pageant\.\d+$/ },
  { name: 'yubikey-agent', place: /\/yubikey-agent(?:\/yubikey-agent)?\.sock$/ },
  { name: "systemd's ssh-agent", place: /^\/run\/user\/\d+\/(?:ssh-agent\.socket|openssh_agent)$/ },
]

/** ssh-agent's places, in the home folder since OpenSSH 10.1, and those that sshd makes for a forwarded one beside them. */
const opensshs: readonly Row[] = [
  { name: 'a forwarded', place: /\/\.ssh\/agent\/s\.[^/]+\.sshd\.[^/]+$/, isForwarded: true },
  { name: 'ssh-agent', place: /\/\.ssh\/agent\/s\.[^/]+$|\/ssh-\w+\/agent\.\d+$/ },
]

/**
 * What is known of an agent by the path of its socket; undefined where that says nothing.
 * @param isSession whether this shell came over ssh: there, the place that ssh-agent and sshd share is sshd's
 */
export function knownAgentAt(socket: string, isSession: boolean): KnownAgent | undefined {
  const path = socket.replaceAll('\\', '/')
  const row = [...rows, ...opensshs].find(({ place }) => place.test(path))
  if (!row) return undefined
  const isForwarded = row.isForwarded === true || (isSession && /\/ssh-\w+\/agent\.\d+$/.test(path))
  return { name: isForwarded ? 'a forwarded' : row.name, isForwarded }
}
