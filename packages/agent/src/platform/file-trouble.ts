import { KeytoolError } from '@keytool/keygen'

const causes: Readonly<Record<string, string>> = {
  EACCES: 'permission denied',
  EPERM: 'permission denied',
  ENOSPC: 'the disk is full',
  EDQUOT: 'the quota is used up',
  EROFS: 'the file system is read-only',
  ENOENT: 'the folder it should be in is not there',
  ENOTDIR: 'a part of the path is not a folder',
  ELOOP: 'too many links on the way',
  ENAMETOOLONG: 'the name is too long',
}

/** What an error of the system's means, in our words. */
export function explain(error: unknown, path: string, what: 'read' | 'written' | 'made'): KeytoolError {
  if (error instanceof KeytoolError) return error
  const code = String((error as NodeJS.ErrnoException).code)
  if (code === 'ENOENT' && what === 'read') {
    return new KeytoolError('not-found', `${path} is not there`, { cause: error })
  }
  if (code === 'EISDIR' && what === 'read') {
    return new KeytoolError('damaged', `${path} is a folder, not a file`, { cause: error })
  }
  return new KeytoolError('failed', `${path} can't be ${what}: ${causes[code] ?? code}`, { cause: error })
}

/** Something would be overwritten. */
export function alreadyThere(path: string, cause?: unknown): KeytoolError {
  return new KeytoolError('exists', `${path} is there already`, { reason: 'nothing was written', cause })
}
