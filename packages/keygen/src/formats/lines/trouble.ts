import { KeytoolError } from '../../error.js'

/**
 * What can be wrong with a line. Each error is there once, for all lines: one of its own for each, with a stack, would make a
 * list of bad lines cost a thousand times its size. Where it is, the line's number says.
 */
export const troubles: Readonly<
  Record<'none' | 'marker' | 'hash' | 'base64' | 'type' | 'long' | 'ssh1' | 'unknown', KeytoolError>
> = {
  none: damaged('a line without a key'),
  marker: damaged('an unknown marker'),
  hash: damaged('a hashed host name is damaged'),
  base64: damaged('the base64 of a key is damaged'),
  type: damaged('a line names another type than its key has'),
  long: damaged('a line is too long to be a key'),
  unknown: Object.freeze(new KeytoolError('unsupported', 'keys of this type are not supported')),
  ssh1: Object.freeze(
    new KeytoolError('unsupported', 'keys of SSH-1 are not supported', {
      reason: 'SSH-1 is broken, and no server should speak it any more',
    }),
  ),
}

function damaged(message: string): KeytoolError {
  return Object.freeze(new KeytoolError('damaged', message))
}
