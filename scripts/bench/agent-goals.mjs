// What was laid down before anything was measured: ratios to the agent beside ours, at 8 clients.

/** Beside OpenSSH before 10. */
const older = { ed25519: 6, 'ecdsa-256': 4, 'rsa-3072': 2, 'rsa-4096': 2, list: 2 }
/** Beside 10.6, a harder rival; 10.0 is held to the same. */
const newer = { ed25519: 3, 'ecdsa-256': 3, list: 2 }
/** The OpenSSL 3.0 in Node 20 is half as quick at RSA as the 3.5 in Node 24. */
const newerRsa = { before: 1.2, from24: 1.8 }
/** Beside whichever OpenSSH. */
const ALONE = 1.2
/** pageant is to be slower, no more. */
const PAGEANT = 1

const P99 = 1 / 4
/** MiB that ours may take while nobody asks. */
const RSS_MIB = 60

/**
 * @param {string} kind row of `older`
 * @param {number} clients
 * @param {import('./agent-peers.mjs').Agent} peer
 * @param {string} node version of the Node that runs ours, such as `v20.20.2`
 * @returns {number | undefined} how many times as many requests a second ours is to answer
 */
export function wantedRate(kind, clients, peer, node) {
  if (clients !== 1 && clients !== 8) return undefined
  if (peer.kind === 'pageant') return PAGEANT
  if (clients === 1) return ALONE
  if (Number.parseInt(peer.version, 10) < 10) return older[kind]
  return newer[kind] ?? (Number(node.slice(1).split('.')[0]) >= 24 ? newerRsa.from24 : newerRsa.before)
}

/** What stands in the table. A missed one says so: among many rows nobody compares two columns. */
export function atLeast(wanted, measured) {
  return wanted === undefined ? undefined : `>= ${wanted}x${measured < wanted ? ', missed' : ''}`
}

export function withinP99(measured) {
  return `<= ${P99}x${measured > P99 ? ', missed' : ''}`
}

export function withinRss(mib) {
  return `<= ${RSS_MIB} MiB${mib > RSS_MIB ? ', missed' : ''}`
}
