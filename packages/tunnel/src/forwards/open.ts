import { openDynamic } from './dynamic.js'
import type { Forward, ForwardOptions } from './forward.js'
import { openLocal } from './local.js'
import { openRemote } from './remote.js'
import type { ForwardKind, ForwardOf, ForwardSpec } from './spec.js'

/** One row a kind. */
const openers: { readonly [K in ForwardKind]: (spec: ForwardOf<K>, options: ForwardOptions) => Promise<Forward> } = {
  local: openLocal,
  remote: openRemote,
  dynamic: openDynamic,
}

/**
 * Opens a forward of any kind. A local or dynamic one listens at once, and who comes before the connection stands waits in
 * `link`; a remote one listens when it is attached.
 * @throws KeytoolError `failed`: the place is in use, not allowed or none of this machine's; `exists`: something else is at
 * a socket's path; `unsupported`: no Unix sockets on this system
 */
export function openForward(spec: ForwardSpec, options: ForwardOptions): Promise<Forward> {
  const open = openers[spec.kind] as (spec: ForwardSpec, options: ForwardOptions) => Promise<Forward>
  return open(spec, options)
}
