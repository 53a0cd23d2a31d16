import { count, integer, nothing, secretSequence, sequence } from '../../der.js'
import type { DerReader } from '../../der-reader.js'
import { damagedAt, KeytoolError } from '../../error.js'
import { toBigInt, toBytes } from '../../number.js'
import type { RsaPrivate, RsaPublic } from '../rsa.js'
import type { Asn1Form } from './form.js'

/** No number of a key that is used here is longer, in bytes. Checked before any arithmetic. */
const MAX_NUMBER = 16384 / 8

/** RSA, RFC 3279 section 2.3.1 and RFC 8017 appendix A.1. */
export const rsaAsn1: Asn1Form<RsaPublic, RsaPrivate> = {
  oid: '2a864886f70d010101',
  parameters: () => nothing(),
  // Some writers leave the NULL out.
  owns: parameters => parameters.length === 0 || parameters.equals(nothing()),
  writePublic: ({ n, e }) => sequence(integer(n), integer(e)),
  readPublic(content) {
    const fields = content.sequence()
    const [n, e] = [fields.integer(), fields.integer()]
    fields.end()
    return { n, e }
  },
  writePrivate: write,
  readPrivate: read,
  traditional: { label: 'RSA PRIVATE KEY', write, read },
}

/** RSAPrivateKey, RFC 8017 appendix A.1.2: version 0, as there are two primes. */
function write({ n, e, d, p, q, iqmp }: RsaPublic & RsaPrivate): Buffer {
  const exponents = [exponentOf(d, p), exponentOf(d, q)]
  try {
    return secretSequence(count(0), ...[n, e, d, p, q, ...exponents, iqmp].map(integer))
  } finally {
    for (const exponent of exponents) exponent.fill(0)
  }
}

function read(content: DerReader): RsaPublic & RsaPrivate {
  const start = content.offset
  const fields = content.sequence()
  const version = fields.number()
  if (version === 1) {
    throw new KeytoolError('unsupported', 'an RSA key of more than two primes; SSH has none of these')
  }
  if (version !== 0) throw damagedAt(`the version of the RSA key is ${version}`, start)
  const number = () => {
    const at = fields.offset
    const value = fields.integer()
    if (value.length > MAX_NUMBER) {
      throw new KeytoolError('unsupported', `an RSA key with a number of ${value.length} bytes is too large`, {
        offset: at,
      })
    }
    return value
  }
  const [n, e, d, p, q] = [number(), number(), number(), number(), number()]
  const [dp, dq, iqmp] = [number(), number(), number()]
  fields.end()
  for (const [prime, exponent] of [
    [p, dp],
    [q, dq],
  ] as const) {
    if (toBigInt(prime) <= 1n || toBigInt(exponent) !== toBigInt(d) % (toBigInt(prime) - 1n)) {
      throw damagedAt("the RSA key contradicts itself: a prime's exponent is not that of d", start)
    }
  }
  return { n, e, d, p, q, iqmp }
}

/** d mod (prime - 1). */
function exponentOf(d: Buffer, prime: Buffer): Buffer {
  return toBytes(toBigInt(d) % (toBigInt(prime) - 1n))
}
