/** What libuv has node make room for at each read of a stream. In bytes. */
const ROOM = 64 * 1024

/**
 * Clears what the read has left behind whose data has just come. Node reads into a buffer, hands out a copy as long as
 * what came, and frees the buffer as it is: a passphrase could stay in there for hours. A piece of the same size, asked
 * for in the same turn of the event loop, gets its place.
 */
export function clearReadBuffer(): void {
  Buffer.allocUnsafeSlow(ROOM).fill(0)
}
