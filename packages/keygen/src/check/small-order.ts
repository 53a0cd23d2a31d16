const SIZE = 32

/**
 * The y coordinates of Ed25519's eight points of small order, in the order of their bytes, and the two other ways to
 * write them (y + p); x, whose sign is the topmost bit, makes no difference.
 */
const SMALL_ORDER: readonly string[] = [
  `01${'00'.repeat(31)}`, // 1: order 1
  `ec${'ff'.repeat(30)}7f`, // p - 1: order 2
  '00'.repeat(32), // 0: order 4
  'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a', // order 8
  '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05', // order 8
  `ee${'ff'.repeat(30)}7f`, // p + 1
  `ed${'ff'.repeat(30)}7f`, // p
]

/** True for an Ed25519 public key (RFC 8032 section 5.1.2) whose point has an order of 1, 2, 4 or 8. */
export function hasSmallOrder(key: Buffer): boolean {
  if (key.length !== SIZE) return false
  const y = Buffer.from(key)
  y.writeUInt8(y.readUInt8(SIZE - 1) & 0x7f, SIZE - 1)
  return SMALL_ORDER.includes(y.toString('hex'))
}
