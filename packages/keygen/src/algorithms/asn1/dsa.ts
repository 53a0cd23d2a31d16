import { count, integer, secretSequence, sequence } from '../../der.js'
import { DerReader, tags } from '../../der-reader.js'
import { KeytoolError } from '../../error.js'
import { modPow, toBigInt, toBytes } from '../../number.js'
import { bitLength } from '../../wire.js'
import type { DsaPrivate, DsaPublic } from '../dsa.js'
import type { Asn1Form, Parameters } from './form.js'

/** What y may be computed from, in bits: more than any key that is used here has. Checked before any arithmetic. */
const MAX = { p: 8192, x: 256 }

type Group = Omit<DsaPublic, 'y'>

/** DSA, RFC 3279 section 2.3.2. */
export const dsaAsn1: Asn1Form<DsaPublic, DsaPrivate> = {
  oid: '2a8648ce380401',
  parameters: ({ p, q, g }) => sequence(integer(p), integer(q), integer(g)),
  // Absent parameters would mean those of the certificate's issuer; a key file has none.
  owns: parameters => parameters[0] === tags.sequence,
  writePublic: ({ y }) => integer(y),
  readPublic: (content, parameters) => ({ ...readGroup(parameters), y: content.integer() }),
  writePrivate: ({ x }) => integer(x),
  readPrivate(content, parameters) {
    const group = readGroup(parameters)
    const x = content.integer()
    return { ...group, y: derive(group, x), x }
  },
  traditional: {
    label: 'DSA PRIVATE KEY',
    write: ({ p, q, g, y, x }) => secretSequence(count(0), ...[p, q, g, y, x].map(integer)),
    /** OpenSSL's own layout: version 0, then the five numbers. */
    read(content) {
      const start = content.offset
      const fields = content.sequence()
      if (fields.number() !== 0) {
        throw new KeytoolError('damaged', 'the version of the DSA key is not 0', { offset: start })
      }
      const [p, q, g] = [fields.integer(), fields.integer(), fields.integer()]
      const [y, x] = [fields.integer(), fields.integer()]
      fields.end()
      return { p, q, g, y, x }
    },
  },
}

function readGroup(parameters: Parameters): Group {
  const fields = new DerReader(parameters).sequence()
  const [p, q, g] = [fields.integer(), fields.integer(), fields.integer()]
  fields.end()
  return { p, q, g }
}

/** y is g to the power of x. */
function derive({ p, g }: Group, x: Buffer): Buffer {
  if (bitLength(p) < 2 || bitLength(p) > MAX.p || bitLength(g) > MAX.p || bitLength(x) > MAX.x) {
    throw new KeytoolError('unsupported', 'the numbers of the DSA key are too large or too small for any key')
  }
  return toBytes(modPow(toBigInt(g), toBigInt(x), toBigInt(p)))
}
