export type { Algorithm, Parts, SignatureHash, SignatureScheme } from './algorithms/algorithm.js'
export { algorithmNamed, algorithmOfType, algorithms } from './algorithms/table.js'
export { type ErrorCode, type ErrorDetails, isKeytoolError, KeytoolError } from './error.js'
export * from './fields.js'
export { type FingerprintHash, fingerprint, fingerprintLine } from './fingerprint.js'
export { isPlain, showForeign } from './foreign.js'
export { checkComment } from './formats/comment.js'
export type { KdfFacts, KeyFacts, KeyFormat, ReadOptions, WriteOptions } from './formats/format.js'
export { readPublicLines, writePublicLine } from './formats/public-line.js'
export {
  detectFormat,
  detectPrivate,
  formatOfOption,
  type Inspected,
  inspectKeys,
  keyFormats,
  readPrivateKey,
} from './formats/registry.js'
export { type GenerateOptions, generate, type KeyPlan, planKey } from './generate.js'
export {
  decodeSignature,
  encodeSignature,
  PrivateKey,
  PublicKey,
  type Signature,
  type Signer,
  type SignOptions,
} from './key.js'
export { defaultLimits, type Limits } from './protect/caps.js'
export { type Cipher, ciphers } from './protect/ciphers.js'
export { randomart } from './randomart.js'
export { bitLength, MAX_STRING, Reader, stripZeros, Writer } from './wire.js'
