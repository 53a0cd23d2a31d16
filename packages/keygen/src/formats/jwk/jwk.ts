import type { Algorithm } from '../../algorithms/algorithm.js'
import type { JwkForm, JwkMembers } from '../../algorithms/jwk/form.js'
import { algorithms } from '../../algorithms/table.js'
import { KeytoolError } from '../../error.js'
import { PrivateKey, PublicKey } from '../../key.js'
import { checkComment } from '../comment.js'
import { plainComment } from '../foreign/comment.js'
import type { PublicFormat, WritableFormat } from '../format.js'
import { type Json, type JsonObject, parseJson } from './json.js'

/** As far as a beginning is looked at: past a set of public keys a private one is still found. In bytes. */
const HEAD = 1 << 20

/**
 * Private keys as JSON Web Keys: RFC 7517, 7518 and 8037. The comment is the `kid`. Never encrypted. A set must hold one
 * key only. What is said about the key's use (`alg`, `use`, `key_ops`, `x5c`) is not SSH's, and passed over.
 */
export const jwk: WritableFormat = {
  name: 'jwk',
  option: 'jwk',
  title: 'JSON Web Key',
  ciphers: [],
  holds: algorithm => algorithm.jwk !== undefined,
  keepsComment: true,

  isAlone: isOurs,
  detect: bytes => claims(bytes) === 'private',

  async inspect(bytes) {
    const key = await readPrivate(bytes)
    key.wipe()
    return { format: jwk.name, encrypted: false, public: key.publicKey }
  },

  read: bytes => readPrivate(bytes),

  async write(key, { passphrase } = {}) {
    if (passphrase) {
      throw new KeytoolError('refused', "a JSON Web Key can't be encrypted", { reason: 'nothing was written' })
    }
    const form = formOf(key.algorithm)
    const members = { ...form.writePublic(key.parts), ...form.writePrivate(key.parts) }
    return stringify(members, key.comment)
  },
}

/** Public keys as JSON Web Keys: one, or a set of them. */
export const jwkPublic: PublicFormat & Required<Pick<PublicFormat, 'write'>> = {
  name: 'jwk',
  title: 'JSON Web Key',
  keepsComment: true,

  detect: bytes => claims(bytes) === 'public',

  async read(bytes) {
    const objects = keysOf(parseJson(bytes))
    const known = objects.filter(object => findRow(membersOf(object)))
    // RFC 7517 section 5: keys of unknown types are passed over, unless nothing else is there.
    return (known.length > 0 ? known : objects).map(readPublic)
  },

  write(key) {
    const row = algorithms.find(({ name }) => name === key.algorithm.name)
    return stringify(formOf(row ?? key.algorithm).writePublic(key.parts), key.comment)
  },
}

/** Whether the file is one key, and has no member that writing it anew would lose. */
function isOurs(bytes: Buffer): boolean {
  const json = parseJson(bytes)
  return isObject(json) && [...json.keys()].every(name => OURS.has(name))
}

/** What this program writes: RFC 7518 section 6, RFC 8037 section 2, and `kid`. */
const OURS: ReadonlySet<string> = new Set(['kty', 'crv', 'x', 'y', 'd', 'n', 'e', 'p', 'q', 'dp', 'dq', 'qi', 'kid'])

/** What the bytes look like. The reader refuses names spelt in any other way. */
function claims(bytes: Buffer): 'private' | 'public' | undefined {
  if (!/^[ \t\r\n]*\{/.test(bytes.toString('latin1', 0, 256))) return undefined
  const text = bytes.toString('latin1', 0, HEAD)
  if (!/"(?:kty|keys)"[ \t\r\n]*:/.test(text)) return undefined
  return /"d"[ \t\r\n]*:/.test(text) ? 'private' : 'public'
}

async function readPrivate(bytes: Buffer): Promise<PrivateKey> {
  const [object, ...others] = keysOf(parseJson(bytes))
  if (!object || others.length > 0) {
    throw new KeytoolError('unsupported', `the set holds ${others.length + 1} keys; a private one must stand alone`, {
      hint: 'take the key wanted out of the list "keys", and save it as a file of its own',
    })
  }
  const members = membersOf(object)
  const { row, form } = rowOf(members)
  if (members.d === undefined) {
    throw new KeytoolError('unsupported', 'that is a public key; the private one is needed here')
  }
  if (object.has('oth')) {
    throw new KeytoolError('unsupported', 'an RSA key of more than two primes is not supported', {
      reason: 'SSH has no such keys',
    })
  }
  return PrivateKey.fromParts(row, form.readPrivate(members), commentOf(members))
}

function readPublic(object: JsonObject): PublicKey {
  const members = membersOf(object)
  const { row, form } = rowOf(members)
  return PublicKey.fromParts(row, form.readPublic(members), commentOf(members))
}

/** One key, or those of a set (RFC 7517 section 5). At least one. */
function keysOf(json: Json): JsonObject[] {
  if (!isObject(json)) throw damaged('it is no object')
  const list = json.get('keys')
  if (list === undefined || json.has('kty')) return [json]
  if (!Array.isArray(list) || !list.every(isObject)) throw damaged('"keys" is no list of objects')
  if (list.length === 0) throw new KeytoolError('unsupported', 'the set holds no key')
  return list
}

/** The members that are text; the others are none of a key's parts. */
function membersOf(object: JsonObject): JwkMembers {
  const texts = [...object].filter((entry): entry is [string, string] => typeof entry[1] === 'string')
  return Object.assign(Object.create(null), Object.fromEntries(texts)) as JwkMembers
}

function commentOf({ kid }: JwkMembers): string {
  return plainComment(kid ?? '')
}

function findRow(members: JwkMembers): { row: Algorithm; form: JwkForm } | undefined {
  const row = algorithms.find(({ jwk: form }) => form?.owns(members))
  return row?.jwk && { row, form: row.jwk }
}

function rowOf(members: JwkMembers): { row: Algorithm; form: JwkForm } {
  const found = findRow(members)
  if (found) return found
  if (members.kty === undefined) throw damaged('the member "kty" is missing')
  const type = [members.kty, members.crv].filter(part => part !== undefined).join(' ')
  throw new KeytoolError('unsupported', `JSON Web Keys of type ${JSON.stringify(type.slice(0, 64))} are not supported`)
}

function formOf({ jwk: form, type }: Partial<Algorithm>): JwkForm {
  if (form) return form
  throw new KeytoolError('unsupported', `JSON Web Keys can't hold ${type} keys`)
}

/** The same key gives the same bytes. */
function stringify(members: JwkMembers, comment: string): Buffer {
  const kid = checkComment(comment)
  return Buffer.from(`${JSON.stringify(kid ? { ...members, kid } : members, null, 2)}\n`)
}

function isObject(json: Json): json is JsonObject {
  return json instanceof Map
}

function damaged(message: string): KeytoolError {
  return new KeytoolError('damaged', `the JWK can be no key: ${message}`)
}
