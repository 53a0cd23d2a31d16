/**
 * How far a rotation has come on one host. Those that end in -ing are written down before something is changed there, the
 * others after it was seen to be so: whatever ends us in between, the next one knows what may have happened.
 */
export const hostStates = [
  'start',
  'adding',
  'new-added',
  'new-verified',
  'removing',
  'old-removed',
  /** The old key is out of the file and let in all the same, by something else on the server. */
  'still-admitted',
  'done',
  'restoring',
  'old-restored',
  'old-verified',
  'taking-back',
  'new-removed',
  'rolled-back',
] as const

export type HostState = (typeof hostStates)[number]

/** What stands on the host, for people: the key that works is named first. */
export const meanings: Readonly<Record<HostState, string>> = {
  start: 'nothing was changed there',
  adding: 'the old key works; the new one may stand beside it',
  'new-added': 'the old key works; the new one stands beside it',
  'new-verified': 'both keys work',
  removing: 'the new key works; the old one may still do',
  'old-removed': 'the new key works; the old one is out of the file',
  'still-admitted': 'the new key works; the old one is out of the file, and let in all the same',
  done: 'the new key works, the old one is refused',
  restoring: 'one of the keys works; the old one is being put back',
  'old-restored': 'the new key works; the old one is back in the file',
  'old-verified': 'both keys work',
  'taking-back': 'the old key works; the new one may still do',
  'new-removed': 'the old key works; the new one is out of the file',
  'rolled-back': 'the old key works, the new one is as it was before',
}

const back: ReadonlySet<HostState> = new Set(hostStates.slice(hostStates.indexOf('restoring')))

/** Whether the host is on its way back. */
export function isGoingBack(state: HostState): boolean {
  return back.has(state)
}
