// Turns what a terminal showed into a picture for the README:
//   script -qec ./scripts/demo /dev/null | node scripts/picture.mjs >docs/demo.svg
import { text } from 'node:stream/consumers'

/** Stands for the two characters that a colour's sequence begins with. */
const MARK = '\ue000'
const CHARACTER = 7.8
const LINE = 18
const MARGIN = 16
const styles = { 1: 'font-weight="bold" fill="#fff"', 31: 'fill="#f66"', 32: 'fill="#6c6"', 2: 'fill="#999"' }

const escapeXml = part => part.replace(/[&<>]/g, char => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;' })[char])

/** A line's escape sequences become spans; everything else a terminal would act on is dropped. */
function toSpans(line) {
  let style = ''
  return line
    .split(/(\ue000[\d;]*m)/)
    .map(part => {
      const code = /^\ue000([\d;]*)m$/.exec(part)?.[1]
      if (code !== undefined) style = styles[code] ?? ''
      else if (part !== '') return `<tspan ${style}>${escapeXml(part)}</tspan>`
      return ''
    })
    .join('')
}

const output = (await text(process.stdin)).replaceAll('\r', '').replaceAll('\u001b[', MARK).trimEnd()
// What the set-up prints before is not part of the play.
const lines = output.slice(Math.max(0, output.indexOf(MARK))).split('\n')
const width = Math.max(...lines.map(line => line.replace(/\ue000[\d;]*m/g, '').length)) * CHARACTER + 2 * MARGIN
const height = lines.length * LINE + 2 * MARGIN

console.log(`<svg xmlns="http://www.w3.org/2000/svg" width="${Math.ceil(width)}" height="${height}">
<rect width="100%" height="100%" rx="8" fill="#1b1f24"/>
<g font-family="ui-monospace, Menlo, Consolas, monospace" font-size="13" fill="#d0d7de" xml:space="preserve">`)
for (const [i, line] of lines.entries()) {
  console.log(`<text x="${MARGIN}" y="${MARGIN + (i + 0.75) * LINE}">${toSpans(line)}</text>`)
}
console.log('</g>\n</svg>')
