// Rounds in turns, medians, and the table they are printed in.

/** @param {readonly number[]} values at least one */
export function median(values) {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}

/** @param {readonly number[]} values at least one; @param {number} part such as 0.99: so many of them are not above it */
export function quantile(values, part) {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.max(0, Math.ceil(part * sorted.length) - 1)]
}

/**
 * Takes every contestant's measure in turn, round after round, so that whatever else the machine does hits all alike. A
 * first round warms up and does not count. The order turns with each round: nobody always comes after the same one.
 *
 * @template {string} N
 * @param {number} rounds
 * @param {Record<N, () => Promise<number> | number>} contestants
 * @returns {Promise<Record<N, { median: number, min: number, max: number }>>}
 */
export async function interleave(rounds, contestants) {
  const names = Object.keys(contestants)
  const values = Object.fromEntries(names.map(name => [name, []]))
  for (let round = 0; round <= rounds; round++) {
    for (let turn = 0; turn < names.length; turn++) {
      const name = names[(turn + round) % names.length]
      const value = await contestants[name]()
      if (round > 0) values[name].push(value)
    }
  }
  return Object.fromEntries(
    names.map(name => [
      name,
      { median: median(values[name]), min: Math.min(...values[name]), max: Math.max(...values[name]) },
    ]),
  )
}

/** `1234 (1100-1300)`, with as many decimals as the size of the number bears. */
export function spread({ median: middle, min, max }, unit = '') {
  return `${figure(middle)}${unit} (${figure(min)}-${figure(max)})`
}

export function ratio(a, b) {
  return `${(a / b).toFixed(a / b < 10 ? 2 : 1)}x`
}

/**
 * @typedef {object} Row
 * @property {string} [what] left out where the row above says it
 * @property {string} [ours] median and spread; left out likewise
 * @property {string} [beside] which program, where there are several
 * @property {string} peer the same of the program beside us
 * @property {string} [measured] the figure that counts; left out likewise
 * @property {string} [wanted] what it should be, where that was laid down
 * @property {string} [note]
 */

/** @param {readonly Row[]} rows */
export function printTable(rows) {
  const columns = ['what', 'ours', 'beside', 'peer', 'measured', 'wanted', 'note']
  const used = columns.filter(column => column === 'wanted' || rows.some(row => row[column]))
  const cells = [used, ...rows.map(row => used.map(column => row[column] ?? ''))]
  const widths = used.map((_, index) => Math.max(...cells.map(line => line[index].length)))
  for (const line of cells)
    console.log(`  ${line.map((cell, index) => cell.padEnd(widths[index])).join('  ')}`.trimEnd())
}

function figure(value) {
  return value >= 100 ? value.toFixed(0) : value.toFixed(1)
}
