import { chmod, chown, copyFile, mkdir, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { type Home, temporaryHome } from './world/home.js'
import { peerPath } from './world/peers.js'
import { residentKeytool } from './world/resident.js'
import { runOrThrow } from './world/run.js'
import type { SystemUser } from './world/system-user.js'

// What the tests of `keytool doctor` share: homes for one look each, and an account that is put in order before it.

/** What cli.md promises of `doctor --json`, and what we add. */
export interface Facts {
  readonly host: string | null
  readonly ok: boolean
  readonly cause: string | null
  readonly evidence: readonly string[]
  readonly remedy: string | null
  readonly at?: string
  readonly steps: readonly {
    readonly step: string
    readonly ok: boolean
    readonly text: string
    readonly at?: string
  }[]
  /** Exit status. */
  readonly status: number | null
  readonly stderr: string
}

/** Makes a key pair, without a passphrase unless one is given. */
export async function makePair(path: string, passphrase = '', ...more: string[]): Promise<void> {
  await runOrThrow(peerPath('ssh-keygen'), [
    '-q',
    '-t',
    'ed25519',
    '-C',
    '',
    '-N',
    passphrase,
    '-a',
    '1',
    '-f',
    path,
    ...more,
  ])
}

/** A home with these files in ~/.ssh: each a copy of another file, or text. */
export async function homeWith(files: Readonly<Record<string, { from: string } | string>>): Promise<Home> {
  const home = await temporaryHome()
  for (const [name, content] of Object.entries(files)) {
    const path = join(home.ssh, name)
    if (typeof content === 'string') await writeFile(path, content, { mode: 0o600 })
    else await copyFile(content.from, path).then(() => chmod(path, 0o600))
  }
  return home
}

/** What doctor finds, in this home. */
export async function doctor(home: Home, args: readonly string[], env = home.env): Promise<Facts> {
  const { status, stdout, stderr } = await residentKeytool(['doctor', '--json', ...args], {
    env,
    cwd: home.path,
    timeoutMs: 30_000,
  })
  if (!stdout.startsWith('{')) throw new Error(`doctor ${args.join(' ')} ended with ${status}\n${stdout}${stderr}`)
  return { ...JSON.parse(stdout), status, stderr }
}

/** Home, folder and file as sshd wants them, and these lines in the file; without any there is no folder. */
export async function putInOrder(user: SystemUser, content?: string | Buffer): Promise<void> {
  const folder = dirname(user.authorizedKeysFile)
  await rm(folder, { recursive: true, force: true })
  await chown(user.home, user.uid, user.gid)
  await chmod(user.home, 0o700)
  if (content === undefined) return
  await mkdir(folder, { mode: 0o700 })
  await writeFile(user.authorizedKeysFile, content, { mode: 0o600 })
  await chown(folder, user.uid, user.gid)
  await chown(user.authorizedKeysFile, user.uid, user.gid)
}
