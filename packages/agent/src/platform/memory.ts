import { secureHeapUsed } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { showForeign } from '@keytool/keygen'
import { LIBSYSTEM, type NativeLibrary, openLibrary } from './libc.js'

/** What keeps this process's memory to itself, as it was found afterwards rather than asked for. */
export interface Protection {
  /** Whether the user's other programs may read this memory through the system. */
  readonly dumpable: boolean
  /** Whether a crash may write this memory to a file. */
  readonly core: boolean
  /** Whether the user's other programs may attach a debugger. */
  readonly traceable: boolean
  /** Whether open keys lie in memory that is locked, never swapped and left out of dumps: see `secureHeapArguments`. */
  readonly secureHeap: boolean
  /** What could not be done, and why. */
  readonly trouble?: string
}

export interface ProtectOptions {
  /**
   * False for a process that starts programs of the user's: they inherit the limit on core files, and it is theirs. Where
   * Linux's flag is set, this process leaves none anyway. Default true.
   */
  readonly limitCore?: boolean
}

/** What a system grants, each with what it could not do. */
type Granted = Omit<Protection, 'secureHeap' | 'trouble'> & { readonly troubles: readonly string[] }

type Protect = (library: NativeLibrary, options: ProtectOptions) => Granted

const variants: Readonly<Record<string, { readonly library: string | null; readonly protect: Protect }>> = {
  linux: { library: null, protect: protectLinux },
  darwin: { library: LIBSYSTEM, protect: protectDarwin },
}

const unprotected = { dumpable: true, core: true, traceable: true }

/**
 * Closes this process's memory to the other programs of its user. Root still can read it. Never rejects: what can't be
 * had is said, and the agent serves all the same.
 *
 * Not asked for is no_new_privs: it would break helpers that are setuid, of which the ones that ask for passphrases are
 * some. On Windows nothing of the kind exists.
 */
export async function protectMemory(
  options: ProtectOptions = {},
  system: string = process.platform,
  open: (path: string | null) => Promise<NativeLibrary> = openLibrary,
): Promise<Protection> {
  const { troubles, ...granted } = await protect(options, system, open)
  const heap = lookAtHeap()
  const all = [...troubles, ...heap.troubles]
  return { ...granted, secureHeap: heap.isSecure, ...(all.length > 0 && { trouble: all.join('; ') }) }
}

async function protect(
  options: ProtectOptions,
  system: string,
  open: (path: string | null) => Promise<NativeLibrary>,
): Promise<Granted> {
  const variant = variants[system]
  if (!variant) return { ...unprotected, troubles: [`${system} has no way to keep the user's other programs out`] }
  try {
    return variant.protect(await open(variant.library), options)
  } catch (error) {
    const why = showForeign(String((error as Error).message))
    return { ...unprotected, troubles: [`koffi, which asks the system for protection, could not be used: ${why}`] }
  }
}

/** linux/prctl.h */
const PR_GET_DUMPABLE = 3
const PR_SET_DUMPABLE = 4

/** sys/resource.h; the same number on macOS. */
const RLIMIT_CORE = 4

/** struct rlimit: what holds and what it may be raised to, 32 or 64 bits each. Zeros are zeros in either. */
const RLIMIT_SIZE = 16

/**
 * prctl(2): a process that is not dumpable leaves no core, not even to a handler behind a pipe, whom the limit does not
 * stop; ptrace(2) and most of /proc/PID are closed to all but root.
 */
function protectLinux(library: NativeLibrary, { limitCore = true }: ProtectOptions): Granted {
  const prctl = library.bind('int prctl(int, ulong, ulong, ulong, ulong)')
  prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
  const dumpable = prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) !== 0
  const limited = limitCore && forbidCores(library)
  const tracer = numberIn('/proc/self/status', 'TracerPid')
  return {
    dumpable,
    core: dumpable && !limited,
    traceable: dumpable,
    troubles: [
      ...(dumpable ? ['Linux left the process dumpable'] : []),
      ...(limitCore && !limited ? ['the limit on core files could not be set'] : []),
      // The flag keeps out whoever comes later.
      ...(tracer > 0 ? [`a debugger was attached already (pid ${tracer})`] : []),
    ],
  }
}

/** sys/ptrace.h of macOS */
const PT_DENY_ATTACH = 31

/** ptrace(2) of macOS: whoever tries to attach is refused, and dies of it. Cores are a matter of the limit alone. */
function protectDarwin(library: NativeLibrary, { limitCore = true }: ProtectOptions): Granted {
  const ptrace = library.bind('int ptrace(int, int, void *, int)')
  const traceable = ptrace(PT_DENY_ATTACH, 0, null, 0) !== 0
  const limited = limitCore && forbidCores(library)
  return {
    dumpable: true,
    core: !limited,
    traceable,
    troubles: [
      ...(traceable ? ['macOS did not refuse debuggers'] : []),
      ...(limitCore && !limited ? ['the limit on core files could not be set'] : []),
    ],
  }
}

/** setrlimit(2). For good, and for the programs that this one starts. */
function forbidCores(library: NativeLibrary): boolean {
  const limit = Buffer.alloc(RLIMIT_SIZE)
  library.bind('int setrlimit(int, void *)')(RLIMIT_CORE, limit)
  const found = Buffer.alloc(RLIMIT_SIZE, 0xff)
  return library.bind('int getrlimit(int, void *)')(RLIMIT_CORE, found) === 0 && found.readUInt32LE() === 0
}

/** Node counts a heap that it could not lock as one, too. */
function lookAtHeap(): { readonly isSecure: boolean; readonly troubles: readonly string[] } {
  const total = secureHeapUsed()?.total ?? 0
  if (total === 0) return { isSecure: false, troubles: [] }
  const isSecure = process.platform !== 'linux' || numberIn('/proc/self/status', 'VmLck') * 1024 >= total
  return {
    isSecure,
    troubles: isSecure ? [] : ['the memory for keys may be swapped: the limit on locked memory is too low'],
  }
}

/** A number in a file of /proc whose lines begin with names. 0 when there is none. */
function numberIn(path: string, name: string): number {
  try {
    return Number(new RegExp(`^${name}:\\s*(\\d+)`, 'm').exec(readFileSync(path, 'latin1'))?.[1] ?? 0)
  } catch {
    return 0
  }
}
