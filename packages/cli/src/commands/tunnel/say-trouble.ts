import { showForeign } from '@keytool/keygen'
import { type Clock, systemClock, type TunnelEvent } from '@keytool/tunnel'
import { describeForward } from '../../forwards.js'
import type { Say } from '../../say.js'

/** A mail program that tries again every second should not fill the screen: the same trouble is said once in so long. */
const QUIET = 60_000
/** How much of what was said is remembered. */
const MAX_SAID = 256

/**
 * Says on the screen which forwards are dead, and what kept connections from being carried. How many lines there may be at all
 * is the events' own limit: one a second for each forward.
 * @param isShown whether a table shows already which are dead
 */
export function sayTroubles(
  say: Say,
  isShown: boolean,
  clock: Pick<Clock, 'now'> = systemClock,
): (event: TunnelEvent) => void {
  const said = new Map<string, number>()
  /** Why each is dead: whoever comes to it meets the same, and that is not said again. */
  const dead = new Map<string, string | undefined>()
  return event => {
    if (event.kind === 'forward') {
      const name = describeForward(event.forward.spec, event.forward.place)
      if (event.state === 'dead') {
        dead.set(name, event.error?.message)
        if (!isShown) say.note(showForeign(`${name} is dead${event.error ? `: ${event.error.message}` : ''}`))
      } else if (event.state === 'up' && dead.delete(name) && !isShown) {
        say.note(showForeign(`${name} is alive again`))
      }
      return
    }
    if (event.kind !== 'trouble' && event.kind !== 'leftover') return
    const { spec, place } = event.forward
    const name = describeForward(spec, place)
    if (dead.get(name) === event.error.message) return
    const text = `${name}: ${event.error.message}`
    const now = clock.now()
    if (now - (said.get(text) ?? Number.NEGATIVE_INFINITY) < QUIET) return
    said.delete(text)
    said.set(text, now)
    const [oldest] = said.keys()
    if (said.size > MAX_SAID && oldest !== undefined) said.delete(oldest)
    const others = event.kind === 'trouble' && event.isMixed ? `, and ${event.count - 1} like it` : ''
    say.note(showForeign(`${text}${others}`))
  }
}
