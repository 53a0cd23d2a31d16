/** What fits into this system's sockaddr_un, in bytes: Linux has 108, the BSDs 104, with a zero at the end. */
const MAX_PATH = process.platform === 'linux' ? 107 : 103

/** Whether a socket can be at this path here. Longer ones are cut without a word: they must not get to the system. */
export function fitsSocket(path: string): boolean {
  return Buffer.byteLength(path) <= MAX_PATH
}
