import type { RunningTunnel } from '@keytool/tunnel'
import type { Say } from '../../say.js'
import { renderTunnel } from './render.js'

const BEAT_MS = 1_000

/**
 * Shows a tunnel at the foot of the terminal, anew every second; what else is said goes above it.
 * @returns takes it away
 */
export function showLive(look: () => RunningTunnel, title: string, say: Say): () => void {
  const draw = () => {
    const lines = renderTunnel({ ...look(), pid: null }, { now: Date.now(), unicode: say.unicode, title })
    say.block(lines)
  }
  draw()
  const timer = setInterval(draw, BEAT_MS)
  return () => {
    clearInterval(timer)
    say.block([])
  }
}
