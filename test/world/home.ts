import { mkdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { type Folder, temporaryFolder } from './folder.js'

export type Environment = Readonly<Record<string, string>>

/** What every program gets, and all that it gets: nothing of the tester's own agent, display, askpass or locale. */
const bare: Environment = {
  PATH: [dirname(process.execPath), '/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin'].join(
    ':',
  ),
  LANG: 'C.UTF-8',
}

/** For a program that needs no home: one that looks for it all the same finds nothing, and can make nothing there. */
export const homeless: Environment = { ...bare, HOME: '/dev/null/home', XDG_RUNTIME_DIR: '/dev/null/run' }

export interface Home extends Folder {
  /** `~/.ssh`, 0700, empty. */
  readonly ssh: string
  /** The folder for sockets, 0700. */
  readonly runtime: string
  /** HOME and XDG_RUNTIME_DIR in this home; PATH and LANG. Spread it to add to it. */
  readonly env: Environment
}

/**
 * An empty home of a user. OpenSSH's client looks its home up in passwd and ignores HOME: tell it about files with
 * {@link opensshOptions}.
 * @param place a fresh folder that becomes it
 */
export async function temporaryHome(place: Promise<Folder> = temporaryFolder()): Promise<Home> {
  const folder = await place
  const ssh = join(folder.path, '.ssh')
  const runtime = join(folder.path, 'run')
  await mkdir(ssh, { mode: 0o700 })
  await mkdir(runtime, { mode: 0o700 })
  return { ...folder, ssh, runtime, env: { ...bare, HOME: folder.path, XDG_RUNTIME_DIR: runtime } }
}

/**
 * Options that keep OpenSSH's client (ssh, scp, sftp) to this home: no config, no key files but those named with `-i`,
 * its own known_hosts, and never a prompt.
 */
export function opensshOptions(home: Home): string[] {
  const options = {
    UserKnownHostsFile: join(home.ssh, 'known_hosts'),
    GlobalKnownHostsFile: 'none',
    IdentityFile: 'none',
    BatchMode: 'yes',
    ConnectTimeout: '25',
  }
  return ['-F', 'none', ...Object.entries(options).flatMap(([name, value]) => ['-o', `${name}=${value}`])]
}
