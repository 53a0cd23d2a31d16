/**
 * Where things lie in the memory of {@link bcryptCode}'s module, in bytes. One hash has a lane of its own, which starts
 * `lane` bytes after the one before. All are words, low byte first.
 */
export const layout = {
  /** Blowfish's state: eighteen subkeys, then four boxes of 256 words. The code counts on it to be first. */
  state: 0,
  boxes: 72,
  stateEnd: 4168,
  /** Sixteen words each, at multiples of 64. The third stays zero: the salt of an expansion without one. */
  password: 4224,
  salt: 4288,
  noSalt: 4352,
  /** Eight words that are enciphered in place. */
  words: 4416,
  lane: 4608,
} as const

/** How many hashes one call can make, and the export that does. */
export const hashExports = ['one', 'two'] as const

/**
 * A WebAssembly module that computes bcrypt's hash at cost 6 (bcrypt_pbkdf's `bcrypt_hash`): exports `memory`, laid out
 * as {@link layout}, and the functions of {@link hashExports}, which turn `words` of the first lanes into hashes.
 *
 * Each round of Blowfish waits for the boxes' answers to the one before, so that most of a processor lies idle: two
 * hashes side by side take little longer than one.
 */
export function bcryptCode(): Uint8Array {
  const functions = hashExports.flatMap((_, more) => {
    const lanes = Array.from({ length: more + 1 }, (_, i) => i * layout.lane)
    const first = more * PER_WIDTH
    return [mixFunction(lanes), refillFunction(lanes), hashFunction(first, first + 1)]
  })
  const exports = hashExports.map((name, more) => [...text(name), 0, more * PER_WIDTH + 2])
  const typeNumbers = functions.map((_, i) => [i % PER_WIDTH])
  return Uint8Array.of(
    ...[0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(1, types),
    ...section(3, typeNumbers),
    // One page of memory, never more.
    ...section(5, [[1, 1, 1]]),
    ...section(7, [[...text('memory'), 2, 0], ...exports]),
    ...section(10, functions.map(sized)),
  )
}

const I32 = 0x7f
/** Of each width there are three functions, one of each type: mix, refill, hash. */
const PER_WIDTH = 3
const types = [
  [0x60, 1, I32, 0],
  [0x60, 3, I32, I32, I32, 0],
  [0x60, 0, 0],
]

/** `mix(key)`: the subkeys take in sixteen words of a key, over and over. */
function mixFunction(lanes: readonly number[]): number[] {
  const [key, at] = [0, 1]
  const code = new Code().loop()
  for (const lane of lanes) {
    code.get(at).get(at).load(lane)
    code.get(key).get(at).constant(63).and().add().load(lane)
    code.xor().store(lane)
  }
  return code.get(at).constant(4).add().tee(at).constant(layout.boxes).again().end().body(1)
}

/**
 * `refill(at, end, salt)`: a block that starts as zero takes in two words of salt, is enciphered, and is written at
 * `at`; so again from there on, up to `end`. The salt's sixteen words are used in turn. Where `salt` is `at`, this
 * enciphers the block that stands there.
 */
function refillFunction(lanes: readonly number[]): number[] {
  const [at, end, salt, subkey, spare] = [0, 1, 2, 3, 4]
  const blocks = lanes.map((lane, i) => ({ lane, left: 5 + 2 * i, right: 6 + 2 * i }))
  const code = new Code().loop().constant(layout.state).set(subkey)
  for (const { lane, left, right } of blocks) {
    code
      .take(left, salt, lane)
      .take(right, salt, lane + 4)
      .take(left, subkey, lane)
  }

  // Sixteen rounds, two at a time.
  code.loop()
  for (const { lane, left, right } of blocks) code.take(right, subkey, lane + 4).round(right, left, lane)
  for (const { lane, left, right } of blocks) code.take(left, subkey, lane + 8).round(left, right, lane)
  code.get(subkey).constant(8).add().tee(subkey).constant(64).again().end()

  // The last subkey goes in, and the halves change places.
  for (const { lane, left, right } of blocks) {
    code.take(right, subkey, lane + 4)
    code.get(right).set(spare).get(left).set(right).get(spare).set(left)
    code.write(at, left, lane).write(at, right, lane + 4)
  }
  code.get(salt).constant(-64).and().get(salt).constant(8).add().constant(63).and().or().set(salt)
  code.get(at).constant(8).add().tee(at).get(end).again().end()
  return code.body(2 + 2 * lanes.length)
}

/** `hash()`, given the numbers of the other two: bcrypt's expansions, and the words enciphered 64 times. */
function hashFunction(mix: number, refill: number): number[] {
  const { state, stateEnd, password, salt, noSalt, words } = layout
  const code = new Code()
  const expand = (key: number, salt: number) => {
    code.constant(key).call(mix)
    code.constant(state).constant(stateEnd).constant(salt).call(refill)
  }
  const repeat = (body: () => void) => {
    code.constant(64).set(0).loop()
    body()
    code.get(0).constant(-1).add().tee(0).constant(0).again().end()
  }
  expand(password, salt)
  repeat(() => {
    expand(salt, noSalt)
    expand(password, noSalt)
  })
  repeat(() => {
    for (let at = words; at < words + 32; at += 8) {
      const next = at + 8
      code.constant(at).constant(next).constant(at).call(refill)
    }
  })
  return code.body(1)
}

/** Instructions, one after another (WebAssembly's core specification, 5.4). Locals and functions are below 128. */
class Code {
  readonly #bytes: number[] = []

  get(local: number): this {
    return this.#add(0x20, local)
  }
  set(local: number): this {
    return this.#add(0x21, local)
  }
  /** `set`, and the value stays on the stack. */
  tee(local: number): this {
    return this.#add(0x22, local)
  }
  /** @param value -8192 to 8191 */
  constant(value: number): this {
    return this.#add(0x41, (value & 127) | 128, (value >> 7) & 127)
  }
  load(offset: number): this {
    return this.#add(0x28, 2, ...unsigned(offset))
  }
  store(offset: number): this {
    return this.#add(0x36, 2, ...unsigned(offset))
  }
  add(): this {
    return this.#add(0x6a)
  }
  and(): this {
    return this.#add(0x71)
  }
  or(): this {
    return this.#add(0x72)
  }
  xor(): this {
    return this.#add(0x73)
  }
  call(index: number): this {
    return this.#add(0x10, index)
  }
  loop(): this {
    return this.#add(0x03, 0x40)
  }
  /** To the loop's start, unless the two values on the stack are the same. */
  again(): this {
    return this.#add(0x47, 0x0d, 0)
  }
  end(): this {
    return this.#add(0x0b)
  }

  /** `into ^= memory[at + offset]` */
  take(into: number, at: number, offset: number): this {
    return this.get(into).get(at).load(offset).xor().set(into)
  }

  /** `memory[at + offset] = from` */
  write(at: number, from: number, offset: number): this {
    return this.get(at).get(from).store(offset)
  }

  /** One round of Blowfish: `into ^= ((S0[a] + S1[b]) ^ S2[c]) + S3[d]`, a to d the bytes of `from`, high byte first. */
  round(into: number, from: number, lane: number): this {
    this.get(into).#box(0, from, lane).#box(1, from, lane).add()
    this.#box(2, from, lane).xor()
    return this.#box(3, from, lane).add().xor().set(into)
  }

  #box(box: number, from: number, lane: number): this {
    this.get(from)
    if (box < 3) this.constant(22 - 8 * box).#add(0x76)
    else this.constant(2).#add(0x74)
    return this.constant(0x3fc)
      .and()
      .load(lane + layout.boxes + 1024 * box)
  }

  /** The whole function, with so many locals besides its parameters. */
  body(locals: number): number[] {
    return [1, locals, I32, ...this.#bytes, 0x0b]
  }

  #add(...bytes: number[]): this {
    this.#bytes.push(...bytes)
    return this
  }
}

function section(id: number, items: readonly (readonly number[])[]): number[] {
  return [id, ...sized([...unsigned(items.length), ...items.flat()])]
}

function sized(bytes: readonly number[]): number[] {
  return [...unsigned(bytes.length), ...bytes]
}

function text(value: string): number[] {
  return [value.length, ...Buffer.from(value, 'latin1')]
}

/** LEB128. */
function unsigned(value: number): number[] {
  const bytes: number[] = []
  let rest = value
  for (; rest > 127; rest >>>= 7) bytes.push((rest & 127) | 128)
  bytes.push(rest)
  return bytes
}
