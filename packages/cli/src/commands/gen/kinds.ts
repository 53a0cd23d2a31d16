/** A sentence on each, for those who are asked. */
export const kinds = [
  { value: 'ed25519', name: 'Ed25519      small, fast, accepted by every server since 2014' },
  { value: 'rsa', name: 'RSA 3072     for servers older than that' },
  { value: 'ecdsa-256', name: 'ECDSA 256    where a rule asks for a NIST curve' },
  { value: 'ecdsa-384', name: 'ECDSA 384    the same, larger' },
  { value: 'ecdsa-521', name: 'ECDSA 521    the same, largest; not for PuTTY before 0.81' },
  { value: 'mldsa44-ed25519', name: 'ML-DSA 44    safe from quantum computers too; OpenSSH 10.6 and later only' },
  { value: 'ed448', name: 'Ed448        larger than Ed25519; PuTTY has it, OpenSSH does not' },
] as const

/** What somebody who chose one of these by name should know. */
export const cautions: Readonly<Record<string, string>> = {
  'mldsa44-ed25519': 'only OpenSSH 10.6 and later take keys of this type',
  ed448: 'OpenSSH has no keys of this type; PuTTY and its servers do',
}
