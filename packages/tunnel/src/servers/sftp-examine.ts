import { type Attributes, isOfType, modeOf, showMode } from '../sftp/attributes.js'
import type { Sftp } from '../sftp/client.js'
import { folderOf, type RemotePath, showPath } from '../sftp/path.js'
import { status, unlessRefused } from '../sftp/status.js'
import { closingCommand } from './closing-command.js'
import type { KeyFileFinding } from './key-file.js'
import type { SftpPlace } from './sftp-place.js'
import { findTarget, isThere } from './sftp-target.js'

/** Others than its owner may write. */
const WRITABLE = 0o022
/** What lies in such a folder may be removed by its owner alone. */
const STICKY = 0o1000
/** Folders above the file that are looked at: more than anybody nests. */
const MAX_DEPTH = 32

/** Something that sshd looks at before it heeds the file. */
interface Looked {
  readonly shown: string
  readonly attributes: Attributes
  readonly type: 'file' | 'folder'
}

/**
 * What sshd's StrictModes would object to (`safe_path` in its sources): the file and each folder above it up to the home,
 * or to the root where a link leads out of it, have to belong to the user or root, and nobody else may write to them. On
 * Windows it is said only whether there is one.
 */
export async function examineModes(place: SftpPlace): Promise<readonly KeyFileFinding[]> {
  const { sftp, home, folder, file, shown } = place
  if (home === undefined) return (await isThere(place, file)) ? [] : [missing(shown.file)]
  const [atHome, inside] = [await lookAt(sftp, home), await lookAt(sftp, folder)]
  const looked: Looked[] = []
  if (atHome) looked.push({ shown: '~', attributes: atHome, type: 'folder' })
  if (inside) looked.push({ shown: shown.folder, attributes: inside, type: 'folder' })
  const attributes = await lookAt(sftp, file)
  if (attributes) {
    looked.push({ shown: shown.file, attributes, type: 'file' })
    looked.push(...(await lookAbove(place, await findTarget(place).catch(() => undefined))))
  }
  const owner = ownerOf(atHome, inside)
  const findings = looked.flatMap(one => [...judge(one, owner)])
  if (attributes) return findings
  return [...findings, ...(inside ? [] : [missing(shown.folder)]), missing(shown.file)]
}

/** The folders above the real file, where a link leads out of the home. */
async function lookAbove(
  { sftp, home, folder }: SftpPlace,
  target: { readonly path: RemotePath } | undefined,
): Promise<readonly Looked[]> {
  if (!target || home === undefined) return []
  const real = (path: RemotePath) => sftp.realpath(path).catch(() => path)
  const [top, seen] = [await real(home), await real(folder)]
  const above: Looked[] = []
  let path = await real(folderOf(target.path))
  for (let depth = 0; path !== top && path.startsWith('/') && depth < MAX_DEPTH; depth++) {
    const attributes = path === seen ? undefined : await lookAt(sftp, path)
    if (attributes) above.push({ shown: showPath(path), attributes, type: 'folder' })
    if (path === '/') break
    path = folderOf(path)
  }
  return above
}

function lookAt(sftp: Sftp, path: RemotePath): Promise<Attributes | undefined> {
  return unlessRefused(sftp.stat(path), status.noSuchFile, status.permissionDenied)
}

/** Protocol version 3 does not say who one is; the home tells. */
function ownerOf(home: Attributes | undefined, inside: Attributes | undefined): number | undefined {
  return home?.uid || inside?.uid
}

function* judge({ shown, attributes, type }: Looked, owner: number | undefined): Generator<KeyFileFinding> {
  const { uid } = attributes
  const mode = modeOf(attributes)
  const typed = quote(shown)
  const isOwn = owner === undefined || uid === owner
  if (mode !== undefined && !isOfType(attributes, type)) {
    const text = `${shown} is no ${type === 'file' ? 'plain file' : 'folder'}`
    yield { kind: 'not-a-file', path: shown, text, remedy: `ls -ld ${typed}` }
  }
  if (mode !== undefined && (mode & WRITABLE) !== 0) {
    const who = [...(mode & 0o020 ? ['its group'] : []), ...(mode & 0o002 ? ['everybody'] : [])].join(' and ')
    const text = `${shown} may be written by ${who} (mode ${showMode(mode)})`
    const remedy = closingCommand(typed, { isOwn, isSticky: (mode & STICKY) !== 0 })
    yield { kind: 'writable-by-others', path: shown, text, remedy }
  }
  if (mode !== undefined && isOwn && (mode & needed[type]) !== needed[type]) {
    const text = `${shown} can't be read by its own user (mode ${showMode(mode)})`
    yield { kind: 'unreadable', path: shown, text, remedy: `chmod ${type === 'file' ? 'u+r' : 'u+rx'} ${typed}` }
  }
  if (uid !== undefined && uid !== 0 && !isOwn) {
    const text = `${shown} belongs to another user (number ${uid}; the home to ${owner})`
    yield { kind: 'foreign-owner', path: shown, text, remedy: `sudo chown ${owner} ${typed}` }
  }
}

/** A path out of a server's mouth, as it may be typed there. */
function quote(shown: string): string {
  return /^[\w~./-]+$/.test(shown) ? shown : `'${shown.replaceAll("'", "'\\''")}'`
}

/** What sshd has to be able to do as the user. */
const needed = { file: 0o400, folder: 0o100 } as const

function missing(shown: string): KeyFileFinding {
  return { kind: 'missing', path: shown, text: `there is no ${shown}`, remedy: 'keytool install-pubkey' }
}
