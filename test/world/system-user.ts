import { randomBytes } from 'node:crypto'
import { appendFile, chmod, chown, mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { leaveDuty } from './duty.js'
import { temporaryFolder } from './folder.js'
import { run, runOrThrow } from './run.js'

export interface SystemUser {
  readonly name: string
  readonly password: string
  readonly uid: number
  readonly gid: number
  /** 0700, owned by the user, with nothing in it. */
  readonly home: string
  readonly authorizedKeysFile: string
  /** Appends lines to the user's authorized_keys, with the owner and modes sshd asks for. */
  authorize(...lines: string[]): Promise<void>
  /** Removes the user and the home. */
  dispose(): Promise<void>
}

/** Another test may be editing passwd in this moment: the system's tools give up on its lock rather soon. */
const TRIES = 40
const PAUSE_MS = 250

/** The user goes, by name, with this process. Forced: a session that has just ended counts as one for a while. */
const removal = `for try in $(seq ${TRIES}); do userdel --force "$1" && exit 0; sleep 0.25; done; exit 1`

/** Makes a throwaway user of this system, with a random name and password, who can log in. Needs root. */
export async function createUser(): Promise<SystemUser> {
  if (process.getuid?.() !== 0) throw new Error('these tests make users of the system: run them as root')
  const folder = await temporaryFolder()
  const name = `ktest${randomBytes(5).toString('hex')}`
  const password = randomBytes(12).toString('base64url')
  const home = join(folder.path, name)

  const flags = ['--no-create-home', '--no-user-group', '--no-log-init', '--shell', '/bin/sh', '--home-dir', home]
  const duty = leaveDuty(removal, name)
  const dispose = async () => {
    const status = await duty.perform()
    await folder.dispose()
    if (status !== 0) throw new Error(`userdel ${name} ended with status ${status}`)
  }
  try {
    await withRetries('useradd', [...flags, name])
    await withRetries('chpasswd', [], `${name}:${password}\n`)
    const { uid, gid } = await findIds(name)
    await chmod(folder.path, 0o711)
    await mkdir(home, { mode: 0o700 })
    await chown(home, uid, gid)
    const ssh = join(home, '.ssh')
    const authorizedKeysFile = join(ssh, 'authorized_keys')
    const authorize = async (...lines: string[]) => {
      await mkdir(ssh, { recursive: true, mode: 0o700 })
      await appendFile(authorizedKeysFile, lines.map(line => `${line.trimEnd()}\n`).join(''), { mode: 0o600 })
      await chown(ssh, uid, gid)
      await chown(authorizedKeysFile, uid, gid)
    }
    return { name, password, uid, gid, home, authorizedKeysFile, authorize, dispose }
  } catch (error) {
    await dispose().catch(() => undefined)
    throw error
  }
}

/** Gives a user of this system another login shell. */
export async function changeShell({ name }: SystemUser, shell: string): Promise<void> {
  await withRetries('usermod', ['--shell', shell, name])
}

/** The numbers of a user of this system. */
export async function findIds(name: string): Promise<{ uid: number; gid: number }> {
  const passwd = await readFile('/etc/passwd', 'utf8')
  const fields = passwd
    .split('\n')
    .map(line => line.split(':'))
    .find(([first]) => first === name)
  if (!fields) throw new Error(`${name} is no user of this system`)
  return { uid: Number(fields[2]), gid: Number(fields[3]) }
}

async function withRetries(program: string, args: readonly string[], input = ''): Promise<void> {
  for (let tries = 1; tries < TRIES; tries++) {
    const { status } = await run(program, args, { input })
    if (status === 0) return
    await sleep(PAUSE_MS)
  }
  await runOrThrow(program, args, { input })
}
