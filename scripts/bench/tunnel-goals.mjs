// What was laid down before anything was measured: beside ssh -L. plink is measured, and nothing is wanted of it.

/** Times its throughput. */
export const throughput = { 'aes128-gcm': 1.2, 'aes256-gcm': 1.2, 'chacha20-poly1305': 0.9 }
/** Times its connections a second. */
export const CONNECTIONS = 1
/** Times its median from opening to the first byte back. */
export const LATENCY = 1.5
/** Milliseconds more from the start to the first byte. */
export const START_MS = 400
/** MiB that ours takes while 256 MiB pass a slow reader. */
export const RSS_MIB = 120

export function atLeast(wanted, measured) {
  return `>= ${wanted}x${measured < wanted ? ', missed' : ''}`
}

export function atMost(wanted, measured, unit) {
  return `<= ${wanted}${unit}${measured > wanted ? ', missed' : ''}`
}
