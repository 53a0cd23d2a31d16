import { decodeUnmarked } from './text.js'

/** A name as PuTTY writes it in the registry and into file names: `%20` for what can't stand there. */
export function unescapeName(text: string): string {
  if (!text.includes('%')) return text
  const bytes = Buffer.from(text, 'utf8')
  const out = Buffer.alloc(bytes.length)
  let length = 0
  for (let i = 0; i < bytes.length; i++) {
    const code = bytes[i] === 0x25 ? /^[\dA-Fa-f]{2}$/.exec(bytes.toString('latin1', i + 1, i + 3)) : null
    if (code) i += 2
    out[length++] = code ? Number.parseInt(code[0], 16) : (bytes[i] ?? 0)
  }
  return decodeUnmarked(out.subarray(0, length))
}
