/// <reference types="node" preserve="true" />

export type {
  Algorithm,
  Parts,
  PublicAlgorithm,
  Sign,
  SignatureHash,
  SignatureScheme,
  Verify,
} from './algorithms/algorithm.js'
export type { Asn1Form } from './algorithms/asn1/form.js'
export type { JwkForm } from './algorithms/jwk/form.js'
export {
  algorithmNamed,
  algorithmOfType,
  algorithms,
  publicAlgorithmNamed,
  publicAlgorithms,
} from './algorithms/table.js'
export {
  type Certificate,
  type CertificateOption,
  FOREVER,
  findHostTrouble,
  readCertificate,
  verifyCertificate,
} from './certificate.js'
export { type KdfStrength, rateKdf } from './check/kdf.js'
export { findWeaknesses, type Weakness, type WeaknessCode } from './check/weakness.js'
export { type ErrorCode, type ErrorDetails, isKeytoolError, KeytoolError } from './error.js'
export * from './fields.js'
export {
  bubbleBabble,
  bubbleBabbleLine,
  type Fingerprinted,
  type FingerprintHash,
  fingerprint,
  fingerprintLine,
  puttyFingerprint,
} from './fingerprint.js'
export { isPlain, showForeign } from './foreign.js'
export { checkComment } from './formats/comment.js'
export { type SshfpFacts, sshfpRecords } from './formats/foreign/sshfp.js'
export type {
  KdfFacts,
  KeyFacts,
  KeyFormat,
  PublicFormat,
  ReadOptions,
  WritableFormat,
  WriteOptions,
} from './formats/format.js'
export { type Krl, readKrl } from './formats/krl.js'
export { dearer, optionsLike } from './formats/like.js'
export { type AuthorizedKeyLine, readAuthorizedKeys } from './formats/lines/authorized-keys.js'
export { hideName, matchesHost, matchesPattern, nameOfHost } from './formats/lines/host-match.js'
export { type KeyLine, type LineOptions, typeOfBlob } from './formats/lines/key.js'
export { type KeyOption, splitKeyOptions } from './formats/lines/key-options.js'
export {
  type HostMarker,
  type Hosts,
  type KnownHostLine,
  readKnownHosts,
} from './formats/lines/known-hosts.js'
export { readPublicLines, writePublicLine } from './formats/lines/public.js'
export {
  detectPrivate,
  formatOfOption,
  keyFormats,
  looksLikeKey,
  publicFormatOfOption,
  publicFormats,
  readPrivateKey,
  writable,
} from './formats/registry.js'
export { readSshsig } from './formats/sshsig.js'
export { type GenerateOptions, generate, type KeyPlan, planKey } from './generate.js'
export {
  type Inspected,
  type InspectedAuthorizedKey,
  type InspectedCertificate,
  type InspectedKnownHost,
  type InspectedKrl,
  type InspectedPrivate,
  type InspectedPublic,
  type InspectedSignature,
  type InspectedSsh1,
  type InspectedSshfp,
  type InspectOptions,
  inspectKeys,
} from './inspect.js'
export {
  decodeSignature,
  encodeSignature,
  PrivateKey,
  PublicKey,
  type Signature,
  type Signer,
  type SignOptions,
} from './key.js'
export type { Argon2Kind } from './protect/argon2.js'
export { chooseCosts } from './protect/calibrate.js'
export { defaultLimits, type Limits, noLimits } from './protect/caps.js'
export { type Cipher, ciphers } from './protect/ciphers.js'
export { randomart } from './randomart.js'
export { bitLength, MAX_STRING, Reader, stripZeros, Writer } from './wire.js'
