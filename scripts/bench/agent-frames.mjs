// What the load generator asks for, as bytes. Written here by hand: all agents are asked without our library.
import { randomBytes } from 'node:crypto'

const USERAUTH_REQUEST = 50
const SESSION_ID_BYTES = 32

/**
 * @typedef {object} Request
 * @property {number} number RFC 9987: 11 for the list, 13 for a signature; the answer's number is the next one
 * @property {string} [key] public blob, in base64
 * @property {string} [algorithm] what the login names, such as `rsa-sha2-512`
 * @property {number} [flags] 4 for `rsa-sha2-512`
 */

/**
 * Frame of a request, and where in it four bytes lie that may be anything: whoever changes them asks for another signature.
 *
 * @param {Request} request
 * @returns {{ frame: Buffer, free: number | undefined }}
 */
export function encode({ number, key, algorithm, flags }) {
  if (key === undefined) return { frame: string(Buffer.from([number])), free: undefined }
  const blob = Buffer.from(key, 'base64')
  const data = login(blob, algorithm)
  const frame = string(Buffer.concat([Buffer.from([number]), string(blob), string(data), uint32(flags)]))
  // Behind the frame's length and number, the key, and the lengths of the data and of the session id in it.
  return { frame, free: 4 + 1 + 4 + blob.length + 4 + 4 }
}

/** What ssh has signed to log in, RFC 4252 section 7: an agent may look into it. */
function login(blob, algorithm) {
  return Buffer.concat([
    string(randomBytes(SESSION_ID_BYTES)),
    Buffer.from([USERAUTH_REQUEST]),
    ...['hana', 'ssh-connection', 'publickey'].map(string),
    Buffer.from([1]),
    string(algorithm),
    string(blob),
  ])
}

function string(value) {
  const bytes = Buffer.from(value)
  return Buffer.concat([uint32(bytes.length), bytes])
}

function uint32(value) {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}
