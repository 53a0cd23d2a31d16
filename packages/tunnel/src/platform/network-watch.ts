import { watchAddresses } from './network-change.js'
import { watchWake } from './network-wake.js'

/** What happened to the machine. */
export type NetworkEvent = 'wake' | 'network'

/** Tells when connections may have died, or may come about again. What it returns ends it. */
export type WatchNetwork = (onEvent: (why: NetworkEvent) => void) => () => void

/** Watches this machine. Keeps no process running. */
export const watchNetwork: WatchNetwork = onEvent => {
  const ends = [watchWake(() => onEvent('wake')), watchAddresses(() => onEvent('network'))]
  return () => {
    for (const end of ends) end()
  }
}
