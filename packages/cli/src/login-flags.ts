import type { Usage } from './options.js'

type Flags = NonNullable<Usage['options']>

/** What may be said where something is installed at login, or taken back. */
export interface LoginOptions {
  readonly kind?: string
  readonly dryRun?: boolean
  readonly force?: boolean
}

const dryRun = ['--dry-run', 'show every file and command, and change nothing'] as const

/** The flags of {@link LoginOptions}: of what installs, and of what takes it back. */
export const installFlags: Flags = [
  ['--kind <kind>', 'systemd, xdg, launchd, task: what starts it; shell: print a line for a start-up file'],
  dryRun,
  ['--force', 'replace files that were edited, or that keytool did not write'],
  ['-s', 'with --kind shell, a line for sh'],
  ['-c', 'with --kind shell, a line for csh'],
]

export const uninstallFlags: Flags = [dryRun, ['--force', 'remove files that were edited, too']]
