import { createCipheriv, createHash, createHmac } from 'node:crypto'
import type { PrivateKey } from '../src/key.js'
import { Writer } from '../src/wire.js'

/** Ways a file of version 1 may differ from what the snapshots of PuTTY wrote. */
export interface Ppk1Oddities {
  readonly passphrase?: string
  /** The MAC's line of a file in the clear. Default: a plain hash. */
  readonly mac?: boolean
  /** What stands behind a DSA key instead of the hash of its group. */
  readonly groupHash?: Buffer
  readonly comment?: Buffer
}

/** A PPK file of version 1 (PuTTY manual, appendix C.5.2): no program writes them any more, so that tests must. */
export function writePpk1(key: PrivateKey, oddities: Ppk1Oddities = {}): Buffer {
  const { passphrase, comment = Buffer.from(key.comment) } = oddities
  const body = privateBody(key, oddities)
  const missing = passphrase === undefined ? 0 : (16 - (body.length % 16)) % 16
  const plain = Buffer.concat([body, sha1(body).subarray(0, missing)])
  const macKey = sha1('putty-private-key-file-mac-key', passphrase ?? '')
  const hashOnly = passphrase === undefined && !oddities.mac
  const mac = hashOnly ? sha1(plain) : createHmac('sha1', macKey).update(plain).digest()
  const head = [`PuTTY-User-Key-File-1: ${key.algorithm.name}`, `Encryption: ${passphrase ? 'aes256-cbc' : 'none'}`]
  const rest = [
    ...lines('Public-Lines', key.publicKey.blob),
    ...lines('Private-Lines', passphrase === undefined ? plain : seal(plain, passphrase)),
    `Private-${hashOnly ? 'Hash' : 'MAC'}: ${mac.toString('hex')}`,
  ]
  return Buffer.concat([Buffer.from(`${head.join('\n')}\nComment: `), comment, Buffer.from(`\n${rest.join('\n')}\n`)])
}

function privateBody(key: PrivateKey, { groupHash }: Ppk1Oddities): Buffer {
  const writer = new Writer()
  key.algorithm.ppkFields?.write(writer, key.parts)
  const { p, q, g } = key.parts
  if (key.algorithm.type === 'dsa' && p && q && g) {
    const hash = groupHash ?? sha1(new Writer().mpint(p).mpint(q).mpint(g).done())
    if (hash.length > 0) writer.string(hash)
  }
  return writer.done()
}

function seal(plain: Buffer, passphrase: string): Buffer {
  const key = Buffer.concat([sha1('\0\0\0\0', passphrase), sha1('\0\0\0\u0001', passphrase)]).subarray(0, 32)
  const cipher = createCipheriv('aes-256-cbc', key, Buffer.alloc(16)).setAutoPadding(false)
  return Buffer.concat([cipher.update(plain), cipher.final()])
}

function lines(name: string, bytes: Buffer): string[] {
  const wrapped = bytes.toString('base64').match(/.{1,64}/g) ?? []
  return [`${name}: ${wrapped.length}`, ...wrapped]
}

function sha1(...parts: readonly (string | Buffer)[]): Buffer {
  const hash = createHash('sha1')
  for (const part of parts) hash.update(part)
  return hash.digest()
}
