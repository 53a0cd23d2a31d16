/** What a file of hosts may be. */
export type Form = 'list' | 'ini' | 'yaml' | 'json' | 'program' | 'toml'

const endings: readonly (readonly [ending: RegExp, form: Form])[] = [
  [/\.ya?ml$/i, 'yaml'],
  [/\.json$/i, 'json'],
  [/\.toml$/i, 'toml'],
  [/\.ini$/i, 'ini'],
]

/** What only one of them has, looked for in this order on lines that are no comments. */
const signs: readonly (readonly [sign: RegExp, form: Form])[] = [
  [/^\s*\{/, 'json'],
  [/^(---|%YAML)(\s|$)/, 'yaml'],
  [/^\[[^\]]*\]\s*(#.*)?$/, 'ini'],
  [/^(["']?)[^\s:'"[\]][^\s:'"]*\1\s*:(\s|$)/, 'yaml'],
  // A range, a variable, a comment as only INI has it.
  [/^[^#]*\[[^\]]*[\da-zA-Z]:[^:\]]*(:\d+)?\](?!:)/, 'ini'],
  [/^[^\s#]+\s+[\w-]+=/, 'ini'],
]

/** Which one a file is: by its first line if that is a program's, by its name, by the first line that shows it. */
export function tellForm(lines: readonly string[], name: string): Form {
  if (lines[0]?.startsWith('#!')) return 'program'
  const byName = endings.find(([ending]) => ending.test(name))
  if (byName) return byName[1]
  for (const line of lines) {
    if (/^\s*([#;]|$)/.test(line)) continue
    const found = signs.find(([sign]) => sign.test(line))
    if (found) return found[1]
  }
  return 'list'
}
