import { formOf, writeIdentifier } from '../../algorithms/asn1/identifier.js'
import { bitString, sequence } from '../../der.js'
import { KeytoolError } from '../../error.js'
import type { PublicFormat } from '../format.js'
import { hasPem, writePem } from './armor.js'
import { readPublicPem } from './public.js'

const LABEL = 'PUBLIC KEY'

/**
 * SubjectPublicKeyInfo, RFC 5280 section 4.1.2.7, in PEM: what `openssl pkey -pubout` and `ssh-keygen -e -m PKCS8` write.
 * A file may hold several keys.
 */
export const spki: PublicFormat & Required<Pick<PublicFormat, 'write'>> = {
  name: 'spki',
  title: 'SPKI',
  detect: bytes => hasPem(bytes, [LABEL]),
  read: async bytes => readPublicPem(bytes),
  write(key) {
    const row = formOf(key.algorithm.name)
    if (!row) throw new KeytoolError('unsupported', `SPKI files can't hold ${key.algorithm.type} keys`)
    const content = bitString(row.asn1.writePublic(key.parts))
    return writePem(LABEL, sequence(writeIdentifier(row, key.parts), content))
  },
}
