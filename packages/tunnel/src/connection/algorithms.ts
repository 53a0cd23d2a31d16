/**
 * What is offered to a server, best first: nothing with SHA-1, DSA, CBC or small groups. ssh2 adds strict key exchange
 * (the answer to Terrapin) by itself. GCM comes first because node's own cipher does it fastest.
 */
export const OFFER = {
  kex: [
    'curve25519-sha256',
    'curve25519-sha256@libssh.org',
    'ecdh-sha2-nistp256',
    'ecdh-sha2-nistp384',
    'ecdh-sha2-nistp521',
    'diffie-hellman-group16-sha512',
    'diffie-hellman-group18-sha512',
    'diffie-hellman-group14-sha256',
  ],
  cipher: [
    'aes128-gcm@openssh.com',
    'aes256-gcm@openssh.com',
    'chacha20-poly1305@openssh.com',
    'aes128-ctr',
    'aes192-ctr',
    'aes256-ctr',
  ],
  hmac: ['hmac-sha2-256-etm@openssh.com', 'hmac-sha2-512-etm@openssh.com', 'hmac-sha2-256', 'hmac-sha2-512'],
  compress: ['none'],
} as const

/** Ways a host proves itself, best first, and the key type each belongs to (RFC 8332 gives RSA two). */
const hostKeyAlgorithms = [
  { name: 'ssh-ed25519', keyType: 'ssh-ed25519' },
  { name: 'ecdsa-sha2-nistp256', keyType: 'ecdsa-sha2-nistp256' },
  { name: 'ecdsa-sha2-nistp384', keyType: 'ecdsa-sha2-nistp384' },
  { name: 'ecdsa-sha2-nistp521', keyType: 'ecdsa-sha2-nistp521' },
  { name: 'rsa-sha2-512', keyType: 'ssh-rsa' },
  { name: 'rsa-sha2-256', keyType: 'ssh-rsa' },
] as const

export type HostKeyAlgorithm = (typeof hostKeyAlgorithms)[number]['name']

/**
 * The host key algorithms, those of key types already known for the host first: a server with several keys then shows
 * the one that can be compared.
 */
export function orderHostKeyAlgorithms(knownTypes: readonly string[]): HostKeyAlgorithm[] {
  const isKnown = ({ keyType }: { keyType: string }) => knownTypes.includes(keyType)
  const first = hostKeyAlgorithms.filter(isKnown)
  const rest = hostKeyAlgorithms.filter(row => !isKnown(row))
  return [...first, ...rest].map(({ name }) => name)
}
