import { readSshfp, sshfp } from './formats/foreign/sshfp.js'
import { looksLikeKrl, readKrl } from './formats/krl.js'
import { opensshPublic } from './formats/lines/public.js'
import { keyFormats, publicFormats } from './formats/registry.js'
import { inspectSsh1, isSsh1, ssh1 } from './formats/ssh1.js'
import { looksLikeSshsig, readSshsig } from './formats/sshsig.js'
import { holdsOtherKeys, inspectLines, isNamedForLines } from './inspect-lines.js'
import { type Inspected, type InspectedSignature, inspectPublic } from './inspected.js'

export type {
  Inspected,
  InspectedAuthorizedKey,
  InspectedCertificate,
  InspectedKnownHost,
  InspectedKrl,
  InspectedPrivate,
  InspectedPublic,
  InspectedSignature,
  InspectedSsh1,
  InspectedSshfp,
} from './inspected.js'

export interface InspectOptions {
  /** The file's name, with its folder or without: a hint where the content alone does not tell. */
  readonly fileName?: string
}

/**
 * Everything in a file. Never decrypts. An authorized_keys or known_hosts file, so named, is shown line by line, whatever
 * stands on the first: sshd passes over what it can't read, and heeds what comes after. It may be empty; any other file
 * holds something. Rejects with `damaged` or `unsupported`.
 */
export async function inspectKeys(bytes: Buffer, { fileName = '' }: InspectOptions = {}): Promise<Inspected[]> {
  if (isNamedForLines(fileName)) return inspectLines(bytes, fileName)
  if (ssh1.detect(bytes)) return [inspectSsh1(bytes)]
  if (isSsh1(bytes)) return holdsOtherKeys(bytes) ? inspectLines(bytes, fileName) : [inspectSsh1(bytes)]
  const privateFormat = keyFormats.find(row => row.detect(bytes))
  if (privateFormat) return [{ kind: 'private', ...(await privateFormat.inspect(bytes)) }]
  if (looksLikeSshsig(bytes)) return [inspectSignature(bytes)]
  if (looksLikeKrl(bytes)) return [{ kind: 'krl', format: 'krl', krl: readKrl(bytes) }]
  if (sshfp.detect(bytes)) return readSshfp(bytes)
  // Lines have no beginning that could be told from anything else's: they are tried last, and for more than keys.
  const publicFormat = publicFormats.find(row => row !== opensshPublic && row.detect(bytes))
  if (!publicFormat) return inspectLines(bytes, fileName)
  const keys = await publicFormat.read(bytes)
  return keys.map(key => inspectPublic(key, publicFormat.name))
}

function inspectSignature(bytes: Buffer): InspectedSignature {
  const { key, version, namespace, hash, signature } = readSshsig(bytes)
  return { kind: 'signature', format: 'sshsig', public: key, version, namespace, hash, scheme: signature.scheme }
}
