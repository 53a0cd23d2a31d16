import type { PublicKey } from '@keytool/keygen'
import type { PeerReader } from '../platform/peer.js'
import type { Caller, Peer } from '../who.js'
import type { Hosts } from './hosts.js'

/** What a host with this key is called, for whoever asks: they may have named it on their command line. */
export type Naming = (hostKey: PublicKey, by: Caller) => readonly string[]

/** Names from known_hosts; those that are hashed there are found by what the programs that ask were started with. */
export function createNaming(hosts: Hosts, peers: Pick<PeerReader, 'argumentsOf'>): Naming {
  const hints = new WeakMap<Peer, readonly string[]>()
  function hintsOf(peer: Peer | undefined): readonly string[] {
    if (!peer) return []
    const known = hints.get(peer)
    if (known) return known
    const made = peer.programs.flatMap(({ pid }) => peers.argumentsOf(pid).slice(1))
    hints.set(peer, made)
    return made
  }
  return (hostKey, { peer }) => hosts.namesOf(hostKey, hintsOf(peer))
}
