const reasons: Readonly<Record<string, string>> = {
  ENOENT: 'there is no socket',
  ECONNREFUSED: 'nobody listens on the socket',
  ENOTSOCK: 'it is not a socket',
  EACCES: 'permission denied',
  EPERM: 'permission denied',
  EAGAIN: 'it is too busy to answer',
}

/** Why no connection to an agent came about. */
export function explainConnect(cause: Error): string {
  const { code } = cause as NodeJS.ErrnoException
  return code === undefined ? cause.message : (reasons[code] ?? code)
}
