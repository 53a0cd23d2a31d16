import type { Field } from '../fields.js'
import type { Parts } from './algorithm.js'

/** One layout after the other. */
export function both<A extends Parts, B extends Parts>(first: Field<A>, second: Field<B>): Field<A & B> {
  return {
    read: r => ({ ...first.read(r), ...second.read(r) }),
    write: (w, value) => {
      first.write(w, value)
      second.write(w, value)
    },
  }
}
