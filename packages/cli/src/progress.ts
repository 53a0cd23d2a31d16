import type { Context } from './context.js'

const FRAMES = '⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏'
const BEAT_MS = 100
/** What is done sooner needs no telling. In ms. */
const PATIENCE_MS = 300

/** What is shown while something takes its time. */
export interface Progress {
  /** How far it is, where that is known: 0 to 1. */
  at(part: number): void
  /** Takes the line away. */
  end(): void
}

/**
 * A line on stderr that turns while work goes on: what is done, how long it has taken, how much longer it may take. Only
 * on a terminal, and only once it takes long enough to wonder.
 */
export function showProgress(text: string, { say }: Context): Progress {
  const start = performance.now()
  let part = 0
  let shown = false
  const timer = setInterval(() => {
    const passed = performance.now() - start
    if (passed < PATIENCE_MS) return
    shown = true
    const frame = FRAMES[Math.floor(passed / BEAT_MS) % FRAMES.length]
    const left = part > 0.02 && passed > 2000 ? `, ${seconds((passed * (1 - part)) / part)} left` : ''
    say.transient(`${frame} ${text}  ${seconds(passed)}${left}`)
  }, BEAT_MS)
  return {
    at(now) {
      part = now
    },
    end() {
      clearInterval(timer)
      if (shown) say.transient('')
    },
  }
}

/** `4 s`, `2 min`. */
function seconds(ms: number): string {
  return ms < 100_000 ? `${Math.round(ms / 1000)} s` : `${Math.round(ms / 60_000)} min`
}
