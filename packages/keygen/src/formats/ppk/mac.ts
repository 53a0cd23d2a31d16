import { createHmac } from 'node:crypto'
import { Writer } from '../../wire.js'
import type { Header } from './version.js'

/** HMAC over everything that matters, the plain private part with its padding included (PuTTY manual, appendix C.2). */
export function macOfAll(hash: 'sha1' | 'sha256', key: Buffer, header: Header, plain: Buffer): Buffer {
  const { type, encryption, comment, publicBlob } = header
  const message = new Writer().text(type).text(encryption).string(comment).string(publicBlob).string(plain).done()
  try {
    return createHmac(hash, key).update(message).digest()
  } finally {
    message.fill(0)
  }
}
