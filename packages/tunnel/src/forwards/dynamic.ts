import { showForeign } from '@keytool/keygen'
import type { Forward, ForwardOptions } from './forward.js'
import { ForwardHere } from './here.js'
import { carry, originOf } from './local.js'
import { openInTime } from './open-in-time.js'
import { guestAt } from './socket-guest.js'
import { speakSocks } from './socks.js'
import { type ForwardOf, formatPlace } from './spec.js'

/**
 * Listens for a `-D` forward: a SOCKS proxy (4, 4a and 5) whose connections the server makes. Names are looked up there.
 * @throws KeytoolError as listenHere
 */
export function openDynamic(spec: ForwardOf<'dynamic'>, options: ForwardOptions): Promise<Forward> {
  return ForwardHere.open(spec, options, ({ counters }) => async socket => {
    const channel = await speakSocks(socket, async ({ host, port }) => {
      const connection = await options.link.connection(guestAt(socket))
      return await openInTime(showForeign(formatPlace(host, port)), () =>
        connection.openDirect(host, port, originOf(socket)),
      )
    })
    if (channel) carry(socket, channel, counters)
  })
}
