import { KeytoolError, showForeign } from '@keytool/keygen'
import { type AlgorithmLists, readAlgorithmList } from './algorithm-lists.js'
import type { HostCertificateAlgorithm, MoreOffers } from './kex/exchanges.js'

/** What a name is for. Names of ssh2's lists. */
export type AlgorithmClass = 'kex' | 'serverHostKey' | 'cipher' | 'hmac'

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

/** Ours, not ssh2's: what it does not hold out against will be read by whoever keeps today's traffic. */
const POST_QUANTUM = ['mlkem768x25519-sha256'] as const

/** Ciphers that need no MAC beside them. */
const isAuthenticated = (cipher: string): boolean => cipher.includes('-gcm') || cipher.includes('poly1305')

/** What old servers have only, least bad first. Offered to those that somebody has named it for, after all others. */
const weakAlgorithms: readonly { readonly name: string; readonly class: AlgorithmClass }[] = [
  { name: 'diffie-hellman-group14-sha1', class: 'kex' },
  { name: 'ssh-rsa', class: 'serverHostKey' },
  { name: 'aes256-cbc', class: 'cipher' },
  { name: 'aes192-cbc', class: 'cipher' },
  { name: 'aes128-cbc', class: 'cipher' },
  { name: '3des-cbc', class: 'cipher' },
  { name: 'hmac-sha1-etm@openssh.com', class: 'hmac' },
  { name: 'hmac-sha1', class: 'hmac' },
]

/** Ways a host proves itself, best first, and the key type each belongs to (RFC 8332 gives RSA two, and one with SHA-1). */
const hostKeyAlgorithms = [
  { name: 'ssh-ed25519', keyType: 'ssh-ed25519' },
  { name: 'ecdsa-sha2-nistp256', keyType: 'ecdsa-sha2-nistp256' },
  { name: 'ecdsa-sha2-nistp384', keyType: 'ecdsa-sha2-nistp384' },
  { name: 'ecdsa-sha2-nistp521', keyType: 'ecdsa-sha2-nistp521' },
  { name: 'rsa-sha2-512', keyType: 'ssh-rsa' },
  { name: 'rsa-sha2-256', keyType: 'ssh-rsa' },
] as const

/** The same by a certificate (OpenSSH's PROTOCOL.certkeys). */
const certificateAlgorithms: readonly HostCertificateAlgorithm[] = hostKeyAlgorithms.map(({ name, keyType }) => ({
  name: `${name}-cert-v01@openssh.com`,
  plain: name,
  certificateType: `${keyType}-cert-v01@openssh.com`,
}))

/** Everything that one connection offers. */
export interface Offer {
  readonly kex: readonly string[]
  readonly serverHostKey: readonly string[]
  readonly cipher: readonly string[]
  readonly hmac: readonly string[]
  readonly compress: readonly string[]
  /** What ssh2 does not know; it comes first. */
  readonly more: MoreOffers
}

export interface OfferOptions {
  /** Key types the host is known by. */
  readonly knownTypes: readonly string[]
  /** Whether an authority may speak for the host: it is then asked for a certificate first. */
  readonly hasAuthority?: boolean
  /** Names of weak algorithms to let in. */
  readonly weak?: readonly string[] | undefined
  /** What ssh_config leaves of the others, and in which order. */
  readonly lists?: AlgorithmLists | undefined
}

/**
 * What is offered. Weak algorithms come behind all others, wherever a list names them.
 * @throws KeytoolError `usage` for a name that is no weak algorithm: whoever names one must get it; `unsupported` for a list
 * that leaves nothing
 */
export function makeOffer(options: OfferOptions): Offer {
  const { weak = [], lists = {} } = options
  checkWeak(weak)
  const weakOf = (wanted: AlgorithmClass) =>
    weakAlgorithms.filter(row => row.class === wanted && weak.includes(row.name)).map(({ name }) => name)
  const kex = narrow('KexAlgorithms', lists.kexAlgorithms, [...POST_QUANTUM, ...OFFER.kex], weakOf('kex'))
  const hostKey = narrowHostKeys(lists.hostKeyAlgorithms, options, weakOf('serverHostKey'))
  const isOurs = (name: string) => POST_QUANTUM.some(each => each === name)
  const certificates = hostKey.flatMap(name => certificateAlgorithms.find(row => row.name === name) ?? [])
  return {
    kex: kex.filter(name => !isOurs(name)),
    serverHostKey: hostKey.filter(name => !certificates.some(row => row.name === name)),
    cipher: narrow('Ciphers', lists.ciphers, OFFER.cipher, weakOf('cipher')),
    hmac: narrow('MACs', lists.macs, OFFER.hmac, weakOf('hmac')),
    compress: OFFER.compress,
    more: { kex: kex.filter(isOurs), hostKey: certificates, order: { kex, hostKey } },
  }
}

/** What a list leaves of the usual ones, and behind them the weak ones that were let in by name. */
function narrow(
  keyword: string,
  text: string | undefined,
  usual: readonly string[],
  weak: readonly string[],
): string[] {
  if (text === undefined) return [...usual, ...weak]
  const left = readAlgorithmList(keyword, text, { usual, known: [...usual, ...weak] })
  return [...left.filter(name => !weak.includes(name)), ...weak]
}

/**
 * The same for host keys: certificates first, and types that the host is known by before others, unless the list has an order
 * of its own, as in ssh.
 */
function narrowHostKeys(
  text: string | undefined,
  { knownTypes, hasAuthority = false }: OfferOptions,
  weak: readonly string[],
): string[] {
  const certificates = certificateAlgorithms.map(({ name }) => name)
  const plain = orderHostKeyAlgorithms(text?.startsWith('^') ? [] : knownTypes, weak)
  const usual = [...(hasAuthority ? certificates : []), ...plain]
  if (text === undefined) return usual
  const left = readAlgorithmList('HostKeyAlgorithms', text, { usual, known: [...certificates, ...plain] })
  if (/^[+-]/.test(text)) return [...new Set([...left, ...weak])]
  return [...left.filter(name => !weak.includes(name)), ...weak]
}

/**
 * Whether each of these can be let in.
 * @param names as OpenSSH spells them, such as `hmac-sha1`
 * @throws KeytoolError `usage`
 */
export function checkWeak(names: readonly string[]): void {
  const unknown = names.find(name => !weakAlgorithms.some(row => row.name === name))
  if (unknown === undefined) return
  throw new KeytoolError('usage', `${showForeign(unknown)} is no algorithm that can be let in`, {
    reason: `those that can: ${weakAlgorithms.map(({ name }) => name).join(', ')}`,
  })
}

/** What of this class can be let in, and is not. */
export function weakAmong(wanted: AlgorithmClass, names: readonly string[]): string | undefined {
  return weakAlgorithms.find(row => row.class === wanted && names.includes(row.name))?.name
}

/** What of this class is offered where nothing is said. */
export function usualAmong(wanted: AlgorithmClass, names: readonly string[]): string | undefined {
  const { kex, cipher, hmac } = OFFER
  const usual = {
    kex: [...POST_QUANTUM, ...kex],
    serverHostKey: hostKeyAlgorithms.map(({ name }) => name),
    cipher,
    hmac,
  }
  const own: readonly string[] = usual[wanted]
  return own.find(name => names.includes(name))
}

/** Whether a MAC is needed beside this cipher. */
export function needsMac(cipher: string): boolean {
  return !isAuthenticated(cipher)
}

/**
 * The host key algorithms, those of key types already known for the host first: a server with several keys then shows
 * the one that can be compared.
 * @param weak which of RSA's with SHA-1 may be used, after the others of its kind
 */
export function orderHostKeyAlgorithms(knownTypes: readonly string[], weak: readonly string[] = []): string[] {
  const rows = [...hostKeyAlgorithms, ...weak.map(name => ({ name, keyType: name }))]
  const isKnown = ({ keyType }: { keyType: string }) => knownTypes.includes(keyType)
  return [...rows.filter(isKnown), ...rows.filter(row => !isKnown(row))].map(({ name }) => name)
}

/** What an authority may sign a host's certificate with: never SHA-1. */
const CA_SCHEMES = [
  'ssh-ed25519',
  'ecdsa-sha2-nistp256',
  'ecdsa-sha2-nistp384',
  'ecdsa-sha2-nistp521',
  'sk-ssh-ed25519@openssh.com',
  'sk-ecdsa-sha2-nistp256@openssh.com',
  'rsa-sha2-512',
  'rsa-sha2-256',
] as const

/**
 * What CASignatureAlgorithms leaves of them; `undefined`: all.
 * @throws KeytoolError `unsupported` when that is none
 */
export function caSchemesIn(text: string | undefined): string[] | undefined {
  if (text === undefined) return undefined
  return readAlgorithmList('CASignatureAlgorithms', text, { usual: CA_SCHEMES, known: CA_SCHEMES })
}

/** The weak algorithms that are asked for by name: a pattern never lets one in. */
export function weakAlgorithmsIn({ kexAlgorithms, hostKeyAlgorithms, ciphers, macs }: AlgorithmLists): string[] {
  const lists = { kex: kexAlgorithms, serverHostKey: hostKeyAlgorithms, cipher: ciphers, hmac: macs }
  return weakAlgorithms.flatMap(row => {
    const list = lists[row.class] ?? ''
    return !list.startsWith('-') && list.replace(/^[+^]/, '').split(',').includes(row.name) ? [row.name] : []
  })
}
