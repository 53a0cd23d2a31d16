import { blob, bool, type Field, KeytoolError, list, Reader, struct, text, u32, Writer } from '@keytool/keygen'
import type { Identity, KeyState, SessionBind } from '../agent.js'
import type { Terms } from '../terms.js'
import { constraints } from './constraints.js'
import { comment, inString, type KeyParts, keyParts, MAX_NAME, untilEnd } from './fields.js'
import { MAX_IDENTITIES, type Row, replies, requests } from './messages.js'

/** One extension: whole messages, read and written as any other. */
export interface Extension<Q, A> {
  readonly name: string
  readonly request: Row<Q>
  /** What says yes. A no is EXTENSION_FAILURE. */
  readonly reply: Row<A>
}

type Empty = Record<never, never>
type Json = { readonly json: string }

/** What each extension's request carries, and its reply. */
export interface Extensions {
  query: { request: Empty; response: { readonly names: readonly string[] } }
  sessionBind: { request: SessionBind; response: Empty }
  addPpk: { request: { readonly file: Buffer }; response: Empty }
  reencrypt: { request: { readonly key: Buffer }; response: Empty }
  /** `left`: how many keys stay open, as there is no encrypted form of them. */
  reencryptAll: { request: Empty; response: { readonly left: number } }
  listExtended: { request: Empty; response: { readonly identities: readonly ExtendedIdentity[] } }
  status: { request: Empty; response: Json }
  list: { request: Empty; response: Json }
  listFor: { request: { readonly hostKeys: readonly Buffer[] }; response: Json }
  addSealed: { request: SealedFile; response: Empty }
  /** `fits`: whether the passphrase was the right one. Whatever else stands in the way is a no. */
  unseal: { request: { readonly key: Buffer; readonly passphrase: Buffer }; response: { readonly fits: boolean } }
}

export type ExtensionName = keyof Extensions

/** One line of PuTTY's longer list. */
export type ExtendedIdentity = Identity & Pick<KeyState, 'isOpen' | 'isSealable'>

/** An encrypted key file, to be opened when it is first used. */
export interface SealedFile {
  readonly file: Buffer
  readonly comment: string
  readonly constraints: Terms
  /** The same key, open, where whoever brings it has opened it already. */
  readonly key?: KeyParts
}

/** Far more than there are, ours and others'. */
const MAX_NAMES = 256
/** A host has one of each type, and those it had before. */
const MAX_HOST_KEYS = 64

const empty: Field<Empty> = struct({})
const json: Field<Json> = struct({ json: text })
/** Bits of PuTTY's flags: an encrypted form is held; an open one is not. */
const FLAGS = { isSealable: 1, isSealed: 2 }

/** The flags of a key in PuTTY's longer list, in a string that may grow: what follows them is not for us. */
const extendedIdentity: Field<ExtendedIdentity> = {
  read(r) {
    const identity = { blob: r.string(), comment: comment.read(r) }
    const flags = r.nested().uint32()
    return { ...identity, isOpen: (flags & FLAGS.isSealed) === 0, isSealable: (flags & FLAGS.isSealable) !== 0 }
  },
  write(w, value) {
    comment.write(w.string(value.blob), value.comment)
    const flags = (value.isSealable ? FLAGS.isSealable : 0) | (value.isOpen ? 0 : FLAGS.isSealed)
    w.string(new Writer().uint32(flags).done())
  },
}

const sealed = struct({ file: blob, comment, constraints: inString(constraints) })

/** The open half's string is empty where there is none. */
const sealedFile: Field<SealedFile> = {
  read(r) {
    const file = sealed.read(r)
    const half = r.nested()
    if (half.left === 0) return file
    const key = keyParts.read(half)
    half.end()
    return { ...file, key }
  },
  write(w, value) {
    sealed.write(w, value)
    w.uint32(value.key ? lengthOf(value.key) : 0)
    if (value.key) keyParts.write(w, value.key)
  },
}

/** In bytes, as it is written. No copy stays. */
function lengthOf(key: KeyParts): number {
  const writer = new Writer()
  keyParts.write(writer, key)
  const copy = writer.done()
  copy.fill(0)
  return copy.length
}

/** How an extension looks: what follows its name, and what it is answered with. */
interface Layout<Q, A> extends Pick<Row<Q>, 'secret' | 'alone'> {
  readonly request: Field<Q>
  /** In an EXTENSION_RESPONSE, behind the name (RFC 9987 section 5.8), or, as PuTTY has it, in a SUCCESS. */
  readonly answer: { readonly response: Field<A> } | { readonly success: Field<A> }
}

function extension<Q, A>(name: string, { request, answer, ...traits }: Layout<Q, A>): Extension<Q, A> {
  return {
    name,
    request: { number: requests.extension.number, fields: behind(name, request), ...traits },
    reply:
      'success' in answer
        ? { number: replies.success.number, fields: answer.success }
        : { number: replies.extensionResponse.number, fields: behind(name, answer.response) },
  }
}

function behind<T>(name: string, field: Field<T>): Field<T> {
  return {
    read(r) {
      const start = r.offset
      if (r.text(MAX_NAME) === name) return field.read(r)
      throw new KeytoolError('damaged', `it is about another extension than ${name}`, { offset: start })
    },
    write: (w, value) => field.write(w.text(name), value),
  }
}

const success: { readonly success: Field<Empty> } = { success: empty }

/**
 * Every extension there is a use for: RFC 9987 section 5.8, PROTOCOL.agent section 1 of OpenSSH, the PuTTY manual's
 * appendix on names, and our own.
 */
export const extensions: {
  readonly [N in ExtensionName]: Extension<Extensions[N]['request'], Extensions[N]['response']>
} = {
  query: extension('query', { request: empty, answer: { response: struct({ names: untilEnd(text, MAX_NAMES) }) } }),
  sessionBind: extension('session-bind@openssh.com', {
    request: struct({ hostKey: blob, sessionId: blob, signature: blob, forwarding: bool }),
    answer: success,
    alone: true,
  }),
  addPpk: extension('add-ppk@putty.projects.tartarus.org', {
    request: struct({ file: blob }),
    answer: success,
    // The file need not be encrypted.
    secret: true,
    alone: true,
  }),
  reencrypt: extension('reencrypt@putty.projects.tartarus.org', {
    request: struct({ key: blob }),
    answer: success,
    alone: true,
  }),
  reencryptAll: extension('reencrypt-all@putty.projects.tartarus.org', {
    request: empty,
    answer: { success: struct({ left: u32 }) },
    alone: true,
  }),
  listExtended: extension('list-extended@putty.projects.tartarus.org', {
    request: empty,
    answer: { success: struct({ identities: list(extendedIdentity, MAX_IDENTITIES) }) },
  }),
  status: extension('status@keytool', { request: empty, answer: { response: json } }),
  list: extension('list@keytool', { request: empty, answer: { response: json } }),
  listFor: extension('list-for@keytool', {
    request: struct({ hostKeys: list(blob, MAX_HOST_KEYS) }),
    answer: { response: json },
  }),
  addSealed: extension('add-sealed@keytool', { request: sealedFile, answer: success, secret: true, alone: true }),
  unseal: extension('unseal@keytool', {
    request: struct({ key: blob, passphrase: blob }),
    answer: { response: struct({ fits: bool }) },
    secret: true,
  }),
}

const byName: ReadonlyMap<string, ExtensionName> = new Map(
  (Object.keys(extensions) as ExtensionName[]).map(name => [extensions[name].name, name]),
)

/** The row in {@link extensions} of the extension that a message asks for; undefined where it is none of them. */
export function extensionOf(message: Buffer): ExtensionName | undefined {
  if (message[0] !== requests.extension.number) return undefined
  try {
    return byName.get(new Reader(message.subarray(1)).string(MAX_NAME).toString())
  } catch {
    return undefined
  }
}
