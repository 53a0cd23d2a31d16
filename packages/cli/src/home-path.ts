import { join } from 'node:path'
import type { Context } from './context.js'

/**
 * A path that begins with `~/` where no shell has looked at it: in quotes, in a unit file, in an answer. As ssh reads `-i`.
 * @param context whose home is looked up for such a path alone: not every user has one
 */
export function fromHome(path: string, context: Pick<Context, 'places'>): string {
  return /^~[\\/]/.test(path) ? join(context.places.home, path.slice(2)) : path
}
