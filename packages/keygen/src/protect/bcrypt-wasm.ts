import { bcryptCode, hashExports, layout } from './bcrypt-code.js'
import { type BcryptHasher, HASH, readMagic } from './bcrypt-script.js'
import { startState } from './blowfish.js'

/** What is used of WebAssembly here; node's own types don't have it. */
declare const WebAssembly: {
  readonly Module: new (bytes: Uint8Array) => object
  readonly Instance: new (module: object) => { readonly exports: Readonly<Record<string, unknown>> }
}

interface WasmHasher extends BcryptHasher {
  /** All that it works in: zero between calls. */
  readonly memory: Buffer
}

/**
 * Hashes in WebAssembly, up to two at once, each call a whole one: users may take turns at will.
 * @returns nothing where this node has no WebAssembly or no address space for it
 */
export function startWasm(): WasmHasher | undefined {
  try {
    const { exports } = new WebAssembly.Instance(new WebAssembly.Module(bcryptCode()))
    const memory = Buffer.from((exports['memory'] as { readonly buffer: ArrayBuffer }).buffer)
    const runs = hashExports.map(name => exports[name] as () => void)
    return { memory, width: runs.length, hash: (password, salts) => hashInWasm(memory, runs, password, salts) }
  } catch {
    return undefined
  }
}

function hashInWasm(
  memory: Buffer,
  runs: readonly (() => void)[],
  password: Buffer,
  salts: readonly Buffer[],
): Buffer[] {
  const run = runs[salts.length - 1]
  if (!run) throw new RangeError(`${salts.length} hashes at once`)
  salts.forEach((salt, i) => {
    const lane = memory.subarray(i * layout.lane, (i + 1) * layout.lane)
    putWords(lane, layout.state, startState())
    putWords(lane, layout.password, password)
    putWords(lane, layout.salt, salt)
    putWords(lane, layout.words, readMagic())
  })
  run()
  const hashes = salts.map((_, i) => {
    const at = i * layout.lane + layout.words
    return Buffer.from(memory.subarray(at, at + HASH))
  })
  memory.fill(0, 0, salts.length * layout.lane)
  return hashes
}

/** Words that came high byte first, as WebAssembly has them on every machine: low byte first. */
function putWords(lane: Buffer, at: number, bytes: Buffer): void {
  bytes.copy(lane, at)
  lane.subarray(at, at + bytes.length).swap32()
}
