/** What becomes of one line: what stands there then, its end included, or `undefined` when it goes. */
export type ChangeLine = (line: Buffer) => Buffer | undefined

/** The file with some lines changed, and every other byte as it was. Lines are counted from 1, and come with their ends. */
export function editLines(bytes: Buffer, changes: ReadonlyMap<number, ChangeLine>): Buffer {
  const parts: Buffer[] = []
  let kept = 0
  for (const { number, start, end } of eachLine(bytes)) {
    const change = changes.get(number)
    if (!change) continue
    parts.push(bytes.subarray(kept, start), change(bytes.subarray(start, end)) ?? Buffer.alloc(0))
    kept = end
  }
  return Buffer.concat([...parts, bytes.subarray(kept)])
}

/** The bytes with lines behind them, each of which gets its end; a last line that lacks its own gets it, too. */
export function withLines(bytes: Buffer, lines: readonly string[]): Buffer {
  const gap = bytes.length > 0 && bytes.at(-1) !== LINE_FEED ? '\n' : ''
  return Buffer.concat([bytes, Buffer.from(lines.length > 0 ? `${gap}${lines.join('\n')}\n` : '')])
}

/** What stands in `now` and did not in `before`, in whole lines: mostly what somebody added at the end. */
export function linesAdded(before: Buffer, now: Buffer): Buffer {
  const isLonger = now.length >= before.length && now.subarray(0, before.length).equals(before)
  if (isLonger && (before.length === 0 || before.at(-1) === LINE_FEED)) return now.subarray(before.length)
  const old = new Set(textsOf(before))
  const added = new Set(Array.from(textsOf(now)).filter(text => text !== '' && !old.has(text)))
  return Buffer.from(Array.from(added, text => `${text}\n`).join(''), 'latin1')
}

const LINE_FEED = 0x0a

function* textsOf(bytes: Buffer): Generator<string> {
  for (const { start, end } of eachLine(bytes)) yield bytes.toString('latin1', start, end).replace(/\n$/, '')
}

function* eachLine(bytes: Buffer): Generator<{ number: number; start: number; end: number }> {
  let start = 0
  for (let number = 1; start < bytes.length; number++) {
    const found = bytes.indexOf(LINE_FEED, start)
    const end = found < 0 ? bytes.length : found + 1
    yield { number, start, end }
    start = end
  }
}
