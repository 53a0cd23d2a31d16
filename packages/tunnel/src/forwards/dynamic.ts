import type { Forward, ForwardOptions } from './forward.js'
import { ForwardHere } from './here.js'
import { originOf } from './local.js'
import { pump } from './pump.js'
import { speakSocks } from './socks.js'
import type { ForwardOf } from './spec.js'

/**
 * Listens for a `-D` forward: a SOCKS proxy (4, 4a and 5) whose connections the server makes. Names are looked up there.
 * @throws KeytoolError as listenHere
 */
export function openDynamic(spec: ForwardOf<'dynamic'>, options: ForwardOptions): Promise<Forward> {
  return ForwardHere.open(spec, options, ({ counters }) => async socket => {
    const channel = await speakSocks(socket, async ({ host, port }) => {
      const connection = await options.link.connection()
      return await connection.openDirect(host, port, originOf(socket))
    })
    if (channel) pump(socket, channel, counters)
  })
}
