import { type Field, KeytoolError, type Reader, showForeign, u32 } from '@keytool/keygen'
import type { Terms } from '../terms.js'
import { destinations } from './destination.js'
import { MAX_NAME } from './fields.js'

/** One constraint: its number, where that says only that a name follows also its name, and its body. */
interface Constraint<T> {
  readonly number: number
  readonly name?: string
  readonly body: Field<T>
}

/** SSH_AGENT_CONSTRAIN_EXTENSION: a name follows. */
const EXTENSION = 255

/** A uint32. None would be a key that is gone as soon as it is there. */
const seconds: Field<number> = {
  read(r) {
    const start = r.offset
    const value = u32.read(r)
    if (value > 0) return value
    throw new KeytoolError('damaged', 'a key is added for no time at all', { offset: start })
  },
  write: (w, value) => u32.write(w, value),
}

/** Says all by being there. */
const present: Field<boolean> = { read: () => true, write: () => undefined }

type Rows = { readonly [N in keyof Terms]-?: Constraint<NonNullable<Terms[N]>> }

/**
 * Every constraint that is enforced here, in the order in which they are written: RFC 9987 section 5.2.7, OpenSSH's
 * PROTOCOL.agent section 2, and one of our own. Any other is refused, and the key with it: a constraint that is dropped
 * is worse than none.
 */
const rows: Rows = {
  lifetime: { number: 1, body: seconds },
  confirm: { number: 2, body: present },
  destinations: { number: EXTENSION, name: 'restrict-destination-v00@openssh.com', body: destinations },
  idle: { number: EXTENSION, name: 'idle@keytool', body: seconds },
}

type Entry = [keyof Terms, Constraint<unknown>]
const entries = Object.entries(rows) as Entry[]

/**
 * The constraints of a key that is added, until the end: only good as the last field, or in a string of its own. What is
 * not set, or is false, is not written.
 * @throws KeytoolError `unsupported` for a constraint that is not enforced here, `damaged` for one that comes twice
 */
export const constraints: Field<Terms> = {
  read(r) {
    const found = new Map<keyof Terms, unknown>()
    while (r.left > 0) {
      const start = r.offset
      const [term, { body }] = readKind(r)
      if (found.has(term)) throw new KeytoolError('damaged', `the constraint ${term} comes twice`, { offset: start })
      found.set(term, body.read(r))
    }
    return Object.fromEntries(found) as Terms
  },
  write(w, terms) {
    for (const [term, { number, name, body }] of entries) {
      const value = terms[term]
      if (value === undefined || value === false) continue
      w.byte(number)
      if (name !== undefined) w.text(name)
      body.write(w, value)
    }
  },
}

function readKind(r: Reader): Entry {
  const start = r.offset
  const number = r.byte()
  const name = number === EXTENSION ? r.text(MAX_NAME) : undefined
  const entry = entries.find(([, row]) => row.number === number && row.name === name)
  if (entry) return entry
  const shown = name === undefined ? `number ${number}` : showForeign(name, 64)
  throw new KeytoolError('unsupported', `the constraint ${shown} is not enforced here`, { offset: start })
}
