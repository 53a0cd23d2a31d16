import { type Field, KeytoolError, showForeign } from '@keytool/keygen'

/** The longest path, in bytes: Linux's own limit. */
const MAX_PATH = 4096

/**
 * A path on a server, one character for each of its bytes: protocol version 3 says nothing of their charset
 * (draft-ietf-secsh-filexfer-02 section 6.2), and one that is only passed back need not be understood.
 */
export type RemotePath = string & { readonly remotePath: unique symbol }

/** A path written in this program. */
export function remotePath(text: string): RemotePath {
  return Buffer.from(text, 'utf8').toString('latin1') as RemotePath
}

/** `name` below the folder. */
export function joinPath(folder: RemotePath, name: string): RemotePath {
  return `${folder === '/' ? '' : folder}/${remotePath(name)}` as RemotePath
}

/** The folder it lies in, as it is written: `..` and links are the server's business. */
export function folderOf(path: RemotePath): RemotePath {
  const end = path.lastIndexOf('/')
  return (end === -1 ? '.' : end === 0 ? '/' : path.slice(0, end)) as RemotePath
}

/** The last part of it. */
export function nameIn(path: RemotePath): RemotePath {
  return path.slice(path.lastIndexOf('/') + 1) as RemotePath
}

/** Where a link's target lies, as the server's system finds it: from the folder of the link on. */
export function followLink(link: RemotePath, target: RemotePath): RemotePath {
  return (target.startsWith('/') ? target : `${folderOf(link)}/${target}`) as RemotePath
}

/** As it may stand in a text. */
export function showPath(path: RemotePath): string {
  return showForeign(Buffer.from(path, 'latin1').toString('utf8'))
}

/** A path as it travels: a string of bytes that are no NUL. */
export const path: Field<RemotePath> = {
  read(r) {
    const bytes = r.string(MAX_PATH)
    if (bytes.length === 0 || bytes.includes(0)) throw new KeytoolError('damaged', 'a path that is none')
    return bytes.toString('latin1') as RemotePath
  },
  write: (w, value) => void w.string(Buffer.from(value, 'latin1')),
}
