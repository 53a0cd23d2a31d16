import { KeytoolError } from '@keytool/keygen'
import { formatPlace, type LocalForwardSpec } from '@keytool/tunnel'

/** Two forwards can't listen at one place. Throws `usage`. */
export function checkDistinct(forwards: readonly LocalForwardSpec[]): void {
  const taken = new Set<string>()
  for (const { bind = '127.0.0.1', port } of forwards) {
    const place = formatPlace(bind, port)
    if (port !== 0 && taken.has(place)) throw new KeytoolError('usage', `two forwards are to listen at ${place}`)
    taken.add(place)
  }
}
