import { homedir, userInfo } from 'node:os'
import { isAbsolute, posix, win32 } from 'node:path'
import { KeytoolError } from '@keytool/keygen'

/** Where things lie for one user. All paths are absolute. */
export interface Places {
  readonly home: string
  /** Saved sessions and settings. */
  readonly config: string
  /** What should survive a restart but is not settings. */
  readonly state: string
  /** Sockets and pid files: gone after a reboot, where the system has such a place. */
  readonly runtime: string
  /** OpenSSH's folder: keys and known_hosts stay there. */
  readonly ssh: string
  /** The agent's one place, the same at every login: a socket, or a pipe's name on Windows. */
  readonly agentSocket: string
}

export type Environment = Readonly<Record<string, string | undefined>>

/**
 * @param system node's name of the operating system, such as `linux`, `darwin`, `win32`
 * @throws as {@link findHome}
 */
export function places(
  env: Environment = process.env,
  system: string = process.platform,
  home: string = findHome(),
): Places {
  return system === 'win32' ? onWindows(env, home) : onUnix(env, system, home)
}

/**
 * The user's home folder: HOME where it is a path, else what the system's list of users says.
 * @throws KeytoolError `failed` when neither knows one: nothing of ours may land in the current folder instead
 */
export function findHome(): string {
  for (const look of [homedir, () => userInfo().homedir]) {
    try {
      const home = look()
      if (isAbsolute(home)) return home
    } catch {
      // No entry in the list of users.
    }
  }
  throw new KeytoolError('failed', 'there is no home folder for this user', { hint: 'set HOME to one' })
}

function onUnix(env: Environment, system: string, home: string): Places {
  const { join } = posix
  const config =
    system === 'darwin' && !env['XDG_CONFIG_HOME']
      ? join(home, 'Library', 'Application Support', 'keytool')
      : join(folder(env['XDG_CONFIG_HOME']) ?? join(home, '.config'), 'keytool')
  const state = join(folder(env['XDG_STATE_HOME']) ?? join(home, '.local', 'state'), 'keytool')
  const runtimeRoot = folder(env['XDG_RUNTIME_DIR'])
  // Without a runtime folder the place is fixed under the home, whatever XDG_STATE_HOME says: cli.md names it.
  const runtime = runtimeRoot ? join(runtimeRoot, 'keytool') : join(home, '.local', 'state', 'keytool')
  return { home, config, state, runtime, ssh: join(home, '.ssh'), agentSocket: join(runtime, 'agent.sock') }
}

function onWindows(env: Environment, home: string): Places {
  const { join } = win32
  const config = join(env['APPDATA'] || join(home, 'AppData', 'Roaming'), 'keytool')
  const state = join(env['LOCALAPPDATA'] || join(home, 'AppData', 'Local'), 'keytool')
  return { home, config, state, runtime: state, ssh: join(home, '.ssh'), agentSocket: '\\\\.\\pipe\\openssh-ssh-agent' }
}

/** The XDG specification: a relative path in these variables is to be ignored. */
function folder(value: string | undefined): string | undefined {
  return value && posix.isAbsolute(value) ? value : undefined
}
