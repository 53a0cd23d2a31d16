import { createCipheriv } from 'node:crypto'
import { CipherContext, Poly1305, TAG } from './contexts.js'
import type { Openssl } from './openssl.js'

/** RFC 8439 section 2.5.2. */
const POLY1305 = {
  key: '85d6be7857556d337f4452fe42d506a80103808afb0db2fd4abff6af4149f51b',
  message: 'Cryptographic Forum Research Group',
  tag: 'a8061dc1305136c6c22b8baf0c0127a9',
}

/** Whether functions that were found by their names are the ones they should be: tried once, before any secret is given to them. */
export function doesAsNodeDoes(openssl: Openssl): boolean {
  return (
    seals(openssl, 'aes-128-gcm', 16) && seals(openssl, 'aes-256-gcm', 32) && streams(openssl) && authenticates(openssl)
  )
}

function seals(openssl: Openssl, name: 'aes-128-gcm' | 'aes-256-gcm', keyLength: number): boolean {
  const [key, nonce, head] = [Buffer.alloc(keyLength, 1), Buffer.alloc(12, 2), Buffer.alloc(4, 3)]
  const plain = Buffer.alloc(80, 4)
  const theirs = createCipheriv(name, key, nonce)
  theirs.setAAD(head)
  const expected = [theirs.update(plain), theirs.final(), theirs.getAuthTag()]

  const [body, tag] = [Buffer.from(plain), Buffer.alloc(TAG)]
  const out = new CipherContext(openssl, name, key, true)
  const back = new CipherContext(openssl, name, key, false)
  try {
    out.begin(nonce)
    out.authenticate(head)
    out.turn(body)
    out.writeTag(tag)
    if (!Buffer.concat([body, tag]).equals(Buffer.concat(expected))) return false
    const open = () => {
      const opened = Buffer.from(body)
      back.begin(nonce)
      back.authenticate(head)
      back.turn(opened)
      return back.checkTag(tag) && opened.equals(plain)
    }
    if (!open()) return false
    tag.writeUInt8(tag.readUInt8(TAG - 1) ^ 1, TAG - 1)
    return !open()
  } finally {
    out.free()
    back.free()
  }
}

function streams(openssl: Openssl): boolean {
  const [key, nonce, body] = [Buffer.alloc(32, 1), Buffer.alloc(16, 2), Buffer.alloc(80, 4)]
  const expected = createCipheriv('chacha20', key, nonce).update(body)
  const context = new CipherContext(openssl, 'chacha20', key, true)
  try {
    context.begin(nonce)
    context.turn(body)
    return body.equals(expected)
  } finally {
    context.free()
  }
}

function authenticates(openssl: Openssl): boolean {
  const tag = Buffer.alloc(TAG)
  const mac = new Poly1305(openssl)
  try {
    mac.compute(Buffer.from(POLY1305.key, 'hex'), Buffer.from(POLY1305.message), tag)
    return tag.equals(Buffer.from(POLY1305.tag, 'hex'))
  } finally {
    mac.free()
  }
}
