import { bool, type Field, KeytoolError, PublicKey, struct } from '@keytool/keygen'
import type { Destination, Hop } from '../terms.js'
import { inString, untilEnd } from './fields.js'

/** OpenSSH's caps: AGENT_MAX_DEST_CONSTRAINTS, and AGENT_USER_CONSTRAINT_MAX_LEN in bytes. */
const LIMITS = { destinations: 1024, user: 256 }
/** RFC 1035 section 2.3.4 has 255, but a host may also be an alias of the client's own. In bytes. */
const MAX_HOST = 1024
/** More host keys than one message holds: the smallest takes over 50 bytes. */
const MAX_KEYS = 8192

/** A public key blob in a string. It is only ever compared with a key that has been checked. */
const publicKey: Field<PublicKey> = {
  read: r => PublicKey.fromBlob(r.string(), '', 'later'),
  write: (w, key) => void w.string(key.blob),
}

/** A string for what a later version may put there: whoever does not know what it says can't enforce it. */
const reserved: Field<undefined> = {
  read(r) {
    const start = r.offset
    if (r.string().length === 0) return undefined
    throw new KeytoolError('unsupported', 'a destination says more than is understood here', { offset: start })
  },
  write: w => void w.text(''),
}

const hop = inString(struct({ user: name(LIMITS.user), host: name(MAX_HOST), reserved, keys: hopKeys() }))
const step = inString(struct({ from: hop, to: hop, reserved }))

/** PROTOCOL.agent section 2 of OpenSSH. Throws `damaged` for what its parse_dest_constraint refuses, and for more. */
const destination: Field<Destination> = {
  read(r) {
    const start = r.offset
    const { from, to } = step.read(r)
    const trouble = findTrouble(from, to)
    if (trouble !== undefined) throw new KeytoolError('damaged', trouble, { offset: start })
    return { from: toHop(from), to: toHop(to) }
  },
  write(w, { from, to }) {
    step.write(w, { from: { ...from, reserved: undefined }, to: { ...to, reserved: undefined }, reserved: undefined })
  },
}

const several = inString(untilEnd(destination, LIMITS.destinations))

/**
 * The body of `restrict-destination-v00@openssh.com`: at least one destination. An empty list would be no restriction to
 * some and a ban to others (ssh-agent holds such a key without any).
 */
export const destinations: Field<readonly Destination[]> = {
  read(r) {
    const start = r.offset
    const found = several.read(r)
    if (found.length > 0) return found
    throw new KeytoolError('damaged', 'a restriction to destinations names none', { offset: start })
  },
  write: (w, value) => several.write(w, value),
}

function toHop({ user, host, keys }: Hop): Hop {
  return { user, host, keys }
}

/** What contradicts itself. Where it starts is either this machine, without a name and keys, or a host with both. */
function findTrouble(from: Hop, to: Hop): string | undefined {
  if (from.user !== '') return 'a destination names a user where it starts'
  if ((from.host === '') !== (from.keys.length === 0)) return 'a destination starts at a host without keys or name'
  if (to.host === '' || to.keys.length === 0) return 'a destination leads to a host without keys or name'
  // ssh-add takes what is before the last @ as the user: in a host's name it could only mislead.
  if (from.host.includes('@') || to.host.includes('@')) return "a destination's host has an @ in its name"
  return undefined
}

/** UTF-8 without a zero byte: ssh-agent would compare only what is before it. */
function name(cap: number): Field<string> {
  return {
    read(r) {
      const start = r.offset
      const value = r.text(cap)
      if (!value.includes('\0')) return value
      throw new KeytoolError('damaged', 'a name has a zero byte', { offset: start })
    },
    write: (w, value) => void w.text(value),
  }
}

/** Until the hop's end. */
function hopKeys(): Field<Hop['keys']> {
  return untilEnd(struct({ key: publicKey, isAuthority: bool }), MAX_KEYS)
}
