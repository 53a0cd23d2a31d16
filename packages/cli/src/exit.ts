import type { ErrorCode } from '@keytool/keygen'

/** What each kind of error means to a script. The one place where codes become numbers. */
export const exitStatus: Readonly<Record<ErrorCode, number>> = {
  failed: 1,
  usage: 2,
  'not-found': 3,
  refused: 4,
  exists: 4,
  'secret-needed': 5,
  'secret-wrong': 5,
  damaged: 6,
  unsupported: 6,
  unreachable: 7,
  'host-key-unknown': 8,
  'host-key-changed': 8,
  cancelled: 130,
}
