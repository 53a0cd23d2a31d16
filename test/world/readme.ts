/** One fenced block of a Markdown file. */
export interface Block {
  /** What stands behind the opening fence. */
  readonly language: string
  /** The heading above it. */
  readonly heading: string
  readonly text: string
}

/** The fenced blocks of a Markdown file, in their order. Fences in lists and quotes are none of them. */
export function readBlocks(markdown: string): Block[] {
  const blocks: Block[] = []
  let heading = ''
  let open: { language: string; lines: string[] } | undefined
  for (const line of markdown.split('\n')) {
    if (open && line === '```') {
      blocks.push({ language: open.language, heading, text: open.lines.map(each => `${each}\n`).join('') })
      open = undefined
    } else if (open) open.lines.push(line)
    else if (line.startsWith('```')) open = { language: line.slice(3), lines: [] }
    else if (line.startsWith('#')) heading = line.replace(/^#+ */, '')
  }
  if (open) throw new Error(`a block under "${heading}" is not closed`)
  return blocks
}

/** The cells of the tables under a heading, a row each, the header and the rule below it left out. */
export function readTable(markdown: string, heading: string): string[][] {
  const [, section = ''] = markdown.split(new RegExp(`^#+ ${heading}$`, 'm'))
  const lines = section.split(/^#/m)[0]?.split('\n') ?? []
  return lines
    .filter(line => line.startsWith('|'))
    .slice(2)
    .map(line =>
      line
        .split('|')
        .slice(1, -1)
        .map(cell => cell.trim()),
    )
}

/** What stands between back quotes in a text. */
export function readNames(text: string): string[] {
  return [...text.matchAll(/`([^`]+)`/g)].map(([, name = '']) => name)
}
