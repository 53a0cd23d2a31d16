/** As long as a session's name may be, in characters. */
const MAX_NAME = 64

/**
 * A session's name made of a foreign one: accents fall off letters, all that can't stand in a name becomes a dash. The
 * same text gives the same name each time. Less than half of its letters and digits left: `fallback`, made into a name
 * likewise, because nobody would know the session by the rest.
 */
export function makeSessionName(text: string, fallback: string): string {
  return (isKnownByRest(text) && shape(text)) || shape(fallback) || 'session'
}

/** Names that are taken, in small letters, each with the number to try next. */
export type TakenNames = Map<string, number>

/**
 * The name, or the first of `name-2`, `name-3`, … that is not taken; it is taken then. Capital and small letters are one,
 * as in the files of many systems.
 */
export function numberName(name: string, taken: TakenNames): string {
  const key = name.toLowerCase()
  for (let number = taken.get(key) ?? 1; ; number++) {
    const tail = number === 1 ? '' : `-${number}`
    const candidate = `${name.slice(0, MAX_NAME - tail.length)}${tail}`
    if (number > 1 && taken.has(candidate.toLowerCase())) continue
    taken.set(key, number + 1)
    if (number > 1) taken.set(candidate.toLowerCase(), 2)
    return candidate
  }
}

function shape(text: string): string {
  if (/^(?![-.])[A-Za-z0-9._-]{1,64}$/.test(text)) return text
  return withoutAccents(text)
    .replace(/[^A-Za-z0-9._]+/g, '-')
    .replace(/^[-.]+/, '')
    .slice(0, MAX_NAME)
    .replace(/-+$/, '')
}

function isKnownByRest(text: string): boolean {
  const all = withoutAccents(text).match(/[\p{L}\p{N}]/gu) ?? []
  return 2 * all.filter(each => each <= '\u007f').length >= all.length
}

function withoutAccents(text: string): string {
  return text
    .slice(0, 4 * MAX_NAME)
    .normalize('NFKD')
    .replace(/\p{M}/gu, '')
}
