import { blob, type Field, list, rest, type Signature, struct, text } from '@keytool/keygen'
import type { Identity } from '../agent.js'
import type { Terms } from '../terms.js'
import { constraints } from './constraints.js'
import { comment, type KeyParts, keyParts, signature, signFlags } from './fields.js'

/** One message: its number and what follows it. */
export interface Row<T> {
  readonly number: number
  readonly fields: Field<T>
  /** Its body holds a secret: whoever has read or written it clears it. */
  readonly secret?: true
  /** What follows it on its connection waits for its answer: it changes what the others are answered. */
  readonly alone?: true
}

type Empty = Record<never, never>
type Card = { readonly id: Buffer; readonly pin: Buffer }
type Opaque = { readonly body: Buffer }

/** What each request carries. */
export interface Requests {
  list: Empty
  sign: { readonly key: Buffer; readonly data: Buffer; readonly flags: number }
  add: { readonly key: KeyParts; readonly comment: string }
  addConstrained: { readonly key: KeyParts; readonly comment: string; readonly constraints: Terms }
  remove: { readonly key: Buffer }
  removeAll: Empty
  lock: { readonly passphrase: Buffer }
  unlock: { readonly passphrase: Buffer }
  addCard: Card
  addCardConstrained: Card & { readonly constraints: Buffer }
  removeCard: Card
  extension: { readonly name: string; readonly body: Buffer }
  oldList: Opaque
  oldChallenge: Opaque
  oldAdd: Opaque
  oldAddConstrained: Opaque
  oldRemove: Opaque
  oldRemoveAll: Opaque
}

/** What each reply carries. */
export interface Replies {
  failure: Empty
  success: Empty
  identities: { readonly identities: readonly Identity[] }
  signature: { readonly signature: Signature }
  extensionFailure: Empty
  extensionResponse: { readonly name: string; readonly body: Buffer }
  oldIdentities: Opaque
  oldResponse: Opaque
}

/** More keys than one message can hold: each takes at least two lengths. */
export const MAX_IDENTITIES: number = 32 * 1024

const empty: Field<Empty> = struct({})
/** SSH protocol 1, which nothing speaks any more: never read further. */
const opaque: Field<Opaque> = struct({ body: rest })

/**
 * Every request of RFC 9987 (section 5, numbers in section 7.1) and of OpenSSH's PROTOCOL.agent, the ones of SSH
 * protocol 1 included. A row says how a message looks; whether an agent here serves it is said in `handlers.ts`.
 */
export const requests: { readonly [N in keyof Requests]: Row<Requests[N]> } = {
  list: { number: 11, fields: empty },
  sign: { number: 13, fields: struct({ key: blob, data: blob, flags: signFlags }) },
  add: { number: 17, fields: struct({ key: keyParts, comment }), secret: true, alone: true },
  addConstrained: {
    number: 25,
    fields: struct({ key: keyParts, comment, constraints }),
    secret: true,
    alone: true,
  },
  remove: { number: 18, fields: struct({ key: blob }), alone: true },
  removeAll: { number: 19, fields: empty, alone: true },
  lock: { number: 22, fields: struct({ passphrase: blob }), secret: true, alone: true },
  unlock: { number: 23, fields: struct({ passphrase: blob }), secret: true, alone: true },
  addCard: { number: 20, fields: struct({ id: blob, pin: blob }), secret: true },
  addCardConstrained: { number: 26, fields: struct({ id: blob, pin: blob, constraints: rest }), secret: true },
  removeCard: { number: 21, fields: struct({ id: blob, pin: blob }), secret: true },
  extension: { number: 27, fields: struct({ name: text, body: rest }) },
  oldList: { number: 1, fields: opaque },
  oldChallenge: { number: 3, fields: opaque },
  oldAdd: { number: 7, fields: opaque, secret: true },
  oldAddConstrained: { number: 24, fields: opaque, secret: true },
  oldRemove: { number: 8, fields: opaque },
  oldRemoveAll: { number: 9, fields: opaque, alone: true },
}

/** Every reply there is. */
export const replies: { readonly [N in keyof Replies]: Row<Replies[N]> } = {
  failure: { number: 5, fields: empty },
  success: { number: 6, fields: empty },
  identities: { number: 12, fields: struct({ identities: list(struct({ blob, comment }), MAX_IDENTITIES) }) },
  signature: { number: 14, fields: struct({ signature }) },
  extensionFailure: { number: 28, fields: empty },
  extensionResponse: { number: 29, fields: struct({ name: text, body: rest }) },
  oldIdentities: { number: 2, fields: opaque },
  oldResponse: { number: 4, fields: opaque },
}

export type RequestName = keyof Requests
export type ReplyName = keyof Replies
