import type { KeyFormat } from '../../packages/keygen/src/formats/format.js'
import { openssh } from '../../packages/keygen/src/formats/openssh.js'
import { sshcom } from '../../packages/keygen/src/formats/sshcom/sshcom.js'
import type { PrivateKey } from '../../packages/keygen/src/key.js'
import { Reader } from '../../packages/keygen/src/wire.js'

/** Which parts differ, by name; the comment is not compared. */
export function differingParts(back: PrivateKey, key: PrivateKey): string[] {
  const names = new Set([...Object.keys(back.parts), ...Object.keys(key.parts)])
  const none = Buffer.of()
  const differing = [...names].filter(name => !(back.parts[name] ?? none).equals(key.parts[name] ?? none))
  return back.publicKey.equals(key.publicKey) ? differing : ['public key', ...differing]
}

/**
 * The file without what is random in it although it is in the clear. That is OpenSSH's check number: twice four bytes at
 * the beginning of the private section (PROTOCOL.key section 3). They become zeros; lines stay as long as they are.
 */
export function maskRandom(format: Pick<KeyFormat, 'name'>, file: Buffer): string {
  const text = file.toString('latin1')
  if (format.name !== openssh.name) return text
  const body = text.split('\n').filter(line => !line.startsWith('-----'))
  const decoded = Buffer.from(body.join(''), 'base64')
  const reader = new Reader(decoded)
  reader.bytes('openssh-key-v1\0'.length)
  if (reader.text() !== 'none') return text
  reader.string()
  reader.string()
  reader.uint32()
  reader.string()
  reader.uint32()
  decoded.fill(0, reader.offset, reader.offset + 8)
  let masked = decoded.toString('base64')
  return text
    .split('\n')
    .map(line => {
      if (line.startsWith('-----')) return line
      const part = masked.slice(0, line.length)
      masked = masked.slice(line.length)
      return part
    })
    .join('\n')
}

/** Whether files are filled up at random: then two are alike by chance only. ssh.com's are, where they are encrypted. */
export function isRandomlyPadded(format: Pick<KeyFormat, 'name'>, encrypted: boolean): boolean {
  return encrypted && format.name === sshcom.name
}
