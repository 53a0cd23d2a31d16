import type { Ours } from './ours.js'
import type { Trial } from './trial.js'

/** Which types each format of ours has: `type format`. */
export type Marks = Readonly<Record<Trial['kind'], ReadonlySet<string>>>

export function marksOf({ files }: Ours): Marks {
  const marks = (kind: Trial['kind']) =>
    new Set(files.filter(file => file.kind === kind).map(({ type, format }) => `${type} ${format}`))
  return { private: marks('private'), public: marks('public') }
}

/**
 * One mark for a type in a format. It stands for files in the clear: what of the encrypted ones does not go over is told
 * apart, for each type.
 */
export function cellsOf(trials: readonly Trial[], ours: ReadonlySet<string>): (type: string, format: string) => string {
  return (type, format) => {
    const own = trials.filter(trial => trial.type === type && trial.format === format && trial.secret === 'none')
    const [reads, writes] = (['reads', 'writes'] as const).map(peer =>
      own.some(trial => trial.peer === peer && trial.outcome.is === 'done'),
    )
    if (reads && writes) return '⇄'
    if (reads) return '→'
    if (writes) return '←'
    if (own.some(({ outcome }) => outcome.is === 'alike')) return '='
    return ours.has(`${type} ${format}`) ? '–' : '·'
  }
}
