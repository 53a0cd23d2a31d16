/** A function of a system's library. Pointers are buffers. */
export type NativeFunction = (...values: readonly (number | Buffer | null)[]) => number

/** A library of the system's, reached past node. */
export interface NativeLibrary {
  /**
   * @param declaration as C has it, without the parameters' names: `int getpeereid(int, void *, void *)`
   * @throws when the library has no such function
   */
  bind(declaration: string): NativeFunction
  /** Why the last call has failed: errno. */
  error(): number
}

/** The C library of macOS. */
export const LIBSYSTEM = '/usr/lib/libSystem.B.dylib'

/**
 * Opens a library of the system's. Takes some 15 ms and 3 MiB, so only a process that stays does it.
 *
 * @param path by default what node itself runs on, the C library with it
 * @throws where koffi has no binary for this system, or there is no such library
 */
export async function openLibrary(path: string | null = null): Promise<NativeLibrary> {
  const { default: koffi } = await import('koffi')
  const library = koffi.load(path)
  return { bind: declaration => library.func(declaration), error: () => koffi.errno() }
}
