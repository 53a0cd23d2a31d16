import { KeytoolError, matchesPattern, showForeign } from '@keytool/keygen'

/** What an `ssh_config` says of algorithms: lists with `+`, `-` or `^` in front, or without. */
export interface AlgorithmLists {
  readonly kexAlgorithms?: string
  readonly hostKeyAlgorithms?: string
  readonly ciphers?: string
  readonly macs?: string
}

/** How much of a list is shown, in characters. */
const MAX_SHOWN = 200

export interface ListChoices {
  /** What is used where nothing is said, best first. */
  readonly usual: readonly string[]
  /** All that there is. */
  readonly known: readonly string[]
}

/**
 * The algorithms that such a list leaves, in its order (ssh_config(5), Ciphers; `kex_assemble_names` in OpenSSH): `+` puts
 * them behind the usual ones, `^` in front, `-` takes them away; without a sign there are these and no others. `*` and `?`
 * stand for what is known. Names that are not known here are passed over.
 * @param keyword for the error, as ssh_config(5) spells it
 * @throws KeytoolError `unsupported` when none is left
 */
export function readAlgorithmList(keyword: string, text: string, { usual, known }: ListChoices): string[] {
  const sign = /^[+^-]/.exec(text)?.[0]
  const patterns = (sign === undefined ? text : text.slice(1)).split(',')
  const found = patterns.flatMap(pattern => known.filter(name => matchesPattern(pattern, name)))
  const left = combine(sign, found, patterns, usual)
  if (left.length > 0) return left
  throw new KeytoolError(
    'unsupported',
    `${keyword} ${showForeign(text, MAX_SHOWN)} leaves no algorithm that there is here`,
    {
      reason: `there are ${known.join(', ')}`,
      hint: 'name one of these, take the line out of ssh_config, or pass -F none',
    },
  )
}

function combine(
  sign: string | undefined,
  found: readonly string[],
  patterns: readonly string[],
  usual: readonly string[],
): string[] {
  if (sign === '-') return usual.filter(name => !patterns.some(pattern => matchesPattern(pattern, name)))
  if (sign === '+') return [...new Set([...usual, ...found])]
  return [...new Set([...found, ...(sign === '^' ? usual : [])])]
}
