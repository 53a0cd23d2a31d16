import type { ErrorCode, KeytoolError } from '@keytool/keygen'

/**
 * What a tunnel does about an error:
 *
 * - `retry` it connects again, by the schedule of {@link Backoff}
 * - `rarely` it connects again, with long pauses
 * - `key` it connects again once there is something to log in with; the server is left alone meanwhile
 * - `stop` trying again can't help, or must not be done
 */
export type Remedy = 'retry' | 'rarely' | 'key' | 'stop'

/** One row a code. */
const remedies: Readonly<Record<ErrorCode, Remedy>> = {
  // Servers, networks and name servers come back.
  unreachable: 'retry',
  // A connection cut within the handshake; a hotel's sign-in page that answers in the server's place. The host is proved anew.
  damaged: 'retry',
  // Out of descriptors or memory, and what nobody foresaw. It may pass.
  failed: 'retry',

  // No agent, a locked one, or no key in it: that ends when the user is back.
  'secret-needed': 'key',
  // The key's file lies on a stick, or in a home that is not there yet.
  'not-found': 'key',

  // The server has seen what there is, and does not take it. Again would be knocking until it locks us out.
  'secret-wrong': 'stop',
  // A policy, the agent or the user said no. Asking again would be nagging.
  refused: 'stop',
  cancelled: 'stop',
  // Somebody may be listening, or nobody has said that this is the host. Anybody on the way can bring that about, and it is
  // what they want us to look past: a user has to look at it.
  'host-key-changed': 'stop',
  'host-key-unknown': 'stop',
  // No algorithm in common. That is said before the host is proved: whoever answers in its place must not end a tunnel.
  unsupported: 'rarely',
  // These don't come from a server.
  usage: 'stop',
  exists: 'stop',
}

/**
 * What to do about an error once the tunnel was up, or when it may wait from the start.
 * @param wasUp whether it was up before: then both sides have an algorithm in common, whatever is said now
 */
export function remedyFor({ code }: KeytoolError, wasUp: boolean): Remedy {
  const remedy = remedies[code] ?? 'stop'
  return remedy === 'rarely' && !wasUp ? 'stop' : remedy
}
