import { KeytoolError, type PublicKey, readPublicLines } from '@keytool/keygen'

/** A public key as it stands in a record. */
export function publicText({ algorithm, blob }: PublicKey): string {
  return `${algorithm.name} ${blob.toString('base64')}`
}

/** A public key that stands in a record as `TYPE BASE64`. @throws KeytoolError `damaged` */
export function readPublicText(text: string): PublicKey {
  const [key] = readPublicLines(Buffer.from(`${text}\n`))
  if (key) return key
  throw new KeytoolError('damaged', 'the record of setup holds no public key')
}
