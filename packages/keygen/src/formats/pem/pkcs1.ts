import { KeytoolError } from '../../error.js'
import type { PublicFormat } from '../format.js'
import { hasPem, writePem } from './armor.js'
import { readPublicPem, rsaRow } from './public.js'

const LABEL = 'RSA PUBLIC KEY'

/** RSAPublicKey, RFC 8017 appendix A.1.1, in PEM: what `ssh-keygen -e -m PEM` writes. A file may hold several keys. */
export const pkcs1: PublicFormat & Required<Pick<PublicFormat, 'write'>> = {
  name: 'pkcs1',
  title: 'PKCS#1',
  detect: bytes => hasPem(bytes, [LABEL]),
  read: async bytes => readPublicPem(bytes),
  write(key) {
    const row = rsaRow()
    if (key.algorithm.name !== row.name) {
      throw new KeytoolError('unsupported', `PKCS#1 files can't hold ${key.algorithm.type} keys`)
    }
    return writePem(LABEL, row.asn1.writePublic(key.parts))
  },
}
