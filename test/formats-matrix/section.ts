import { algorithms } from '../../packages/keygen/src/algorithms/table.js'
import { keyFormats, publicFormats } from '../../packages/keygen/src/formats/registry.js'
import { cellsOf, type Marks } from './cells.js'
import type { Trial } from './trial.js'
import { describePublic, describeWays } from './ways.js'

/** What the page says of one peer. */
export interface Section {
  readonly heading: string
  readonly body: string
}

type Row = { readonly name: string; readonly title: string }

/** As it follows from the trials, and from nothing else. */
export function makeSection(heading: string, trials: readonly Trial[], ours: Marks): Section {
  const [privates, publics] = (['private', 'public'] as const).map(kind => trials.filter(trial => trial.kind === kind))
  const first = makeTable('Private keys', keyFormats, privates ?? [], ours.private)
  const second = makeTable('Public keys', publicFormats, publics ?? [], ours.public)
  const ways = first.used.map(({ name, title }) => {
    const side = (peer: Trial['peer']) =>
      describeWays((privates ?? []).filter(trial => trial.format === name && trial.peer === peer))
    return [title, side('reads'), side('writes')]
  })
  const parts = [
    first.table,
    first.unused,
    table(['', '→ keytool writes, it reads', '← it writes, keytool reads'], ways),
    second.table,
    `${describePublic(publics ?? [], second.used)} ${second.unused}`,
  ]
  return { heading, body: parts.join('\n\n') }
}

interface Made {
  readonly table: string
  readonly used: readonly Row[]
  /** A sentence about the formats that have no column, as nothing stands in them. */
  readonly unused: string
}

function makeTable(title: string, formats: readonly Row[], trials: readonly Trial[], ours: Marks['private']): Made {
  const cells = cellsOf(trials, ours)
  const used = formats.filter(({ name }) => algorithms.some(({ type }) => !/[–·]/.test(cells(type, name))))
  const unused = formats.filter(row => !used.includes(row)).map(row => row.title)
  const rows = algorithms.map(({ type }) => [type, ...used.map(({ name }) => cells(type, name))])
  return {
    table: table([title, ...used.map(row => row.title)], rows),
    used,
    unused: unused.length > 0 ? `Neither read nor written by it: ${unused.join(', ')}.` : '',
  }
}

export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`
  return [line(head), `|${'---|'.repeat(head.length)}`, ...rows.map(line)].join('\n')
}
