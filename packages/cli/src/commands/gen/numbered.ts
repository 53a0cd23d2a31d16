import { KeytoolError } from '@keytool/keygen'

/** `%d`, or `%03d` (up to 99) for a number filled up with zeros. `%%` is a plain `%`. */
const NUMBER = /%(\d{0,2})([d%])/g

/**
 * The names a pattern stands for: `web-%02d` gives `web-01`, `web-02` ...
 * @param without what a pattern without a number means: an error, or the same text each time
 * @throws KeytoolError `usage`
 */
export function numbered(pattern: string, count: number, without: 'refused' | 'same' = 'refused'): string[] {
  const hasNumber = [...pattern.matchAll(NUMBER)].some(([, , kind]) => kind === 'd')
  if (!hasNumber && without === 'refused') {
    throw new KeytoolError('usage', `${JSON.stringify(pattern)} would name all the keys the same`, {
      hint: "put the number in: -f 'web-%02d'",
    })
  }
  return Array.from({ length: count }, (_, i) =>
    pattern.replace(NUMBER, (_all, width: string, kind: string) =>
      kind === '%' ? '%' : String(i + 1).padStart(Number(width), '0'),
    ),
  )
}
