import type { NativeLibrary } from './libc.js'
import type { ProgramReader } from './peer-source.js'
import { ARGUMENTS_SIZE, nameOf, wordsOf } from './programs.js'

/** sys/proc_info.h: PROC_PIDPATHINFO_MAXSIZE, the flavor PROC_PIDTBSDINFO, and of its struct what is read. */
const PATH_SIZE = 4096
const PROC_PIDTBSDINFO = 3
const BSDINFO_SIZE = 136
const FLAGS = 0
const PARENT = 16
const START_SECONDS = 120
const START_MICROSECONDS = 128
const PROC_FLAG_SLEADER = 0x20

/** sys/sysctl.h: {CTL_KERN, KERN_PROCARGS2, pid}. What does not fit loses its beginning, hence ARG_MAX bytes. */
const CTL_KERN = 1
const KERN_PROCARGS2 = 49
const ARG_MAX = 1024 * 1024

/** libproc(3): paths and parents; sysctl(3): arguments. */
export function readProgramsOnDarwin(library: NativeLibrary): ProgramReader {
  const pidpath = library.bind('int proc_pidpath(int, void *, uint32_t)')
  const pidinfo = library.bind('int proc_pidinfo(int, int, uint64_t, void *, int)')
  const sysctl = library.bind('int sysctl(void *, uint, void *, void *, void *, size_t)')
  const [path, info] = [Buffer.alloc(PATH_SIZE), Buffer.alloc(BSDINFO_SIZE)]

  function argumentsOf(pid: number): readonly string[] {
    const name = Buffer.alloc(12)
    for (const [i, part] of [CTL_KERN, KERN_PROCARGS2, pid].entries()) name.writeInt32LE(part, 4 * i)
    const found = Buffer.alloc(ARG_MAX)
    const size = Buffer.alloc(8)
    size.writeBigUInt64LE(BigInt(found.length))
    if (sysctl(name, 3, found, size, null, 0) !== 0) return []
    return splitArguments(found.subarray(0, Number(size.readBigUInt64LE())))
  }

  return {
    argumentsOf,
    look(pid) {
      if (pidinfo(pid, PROC_PIDTBSDINFO, 0, info, info.length) !== info.length) return undefined
      const length = pidpath(pid, path, path.length)
      if (length <= 0) return undefined
      const file = path.toString('utf8', 0, length)
      return {
        program: { pid, name: nameOf(file, () => argumentsOf(pid)), path: file },
        parent: info.readUInt32LE(PARENT),
        start: Number(info.readBigUInt64LE(START_SECONDS)) * 1e6 + Number(info.readBigUInt64LE(START_MICROSECONDS)),
        leads: (info.readUInt32LE(FLAGS) & PROC_FLAG_SLEADER) !== 0,
      }
    },
  }
}

/** KERN_PROCARGS2: how many arguments (32 bits), the program's path, zeros, the arguments, then the environment. */
export function splitArguments(bytes: Buffer): readonly string[] {
  if (bytes.length < 4) return []
  const count = bytes.readInt32LE()
  const afterPath = bytes.indexOf(0, 4)
  if (afterPath < 0) return []
  let at = afterPath
  while (bytes[at] === 0) at++
  return wordsOf(bytes.subarray(at, at + ARGUMENTS_SIZE)).slice(0, Math.max(count, 0))
}
