import { join } from 'node:path'

/** A path that begins with `~/` where no shell has looked at it: in quotes, in a unit file, in an answer. As ssh reads `-i`. */
export function fromHome(path: string, home: string): string {
  return /^~[\\/]/.test(path) ? join(home, path.slice(2)) : path
}
