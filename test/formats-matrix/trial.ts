/** What opens a file: without, in ASCII, in UTF-8. */
export const secrets: Readonly<Record<SecretName, string | undefined>> = {
  none: undefined,
  ASCII: 'correct horse',
  'UTF-8': 'ключ 鍵 clé',
}

export type SecretName = 'none' | 'ASCII' | 'UTF-8'

export const protectedBy: readonly SecretName[] = ['ASCII', 'UTF-8']

/** One file that went from keytool to a peer, or from a peer to keytool. */
export interface Trial {
  readonly kind: 'private' | 'public'
  /** What the peer does: reads what keytool wrote, or writes what keytool reads. */
  readonly peer: 'reads' | 'writes'
  /** As `gen -t` has it. */
  readonly type: string
  /** As the registry has it. */
  readonly format: string
  /** Cipher and KDF of the file, as `inspect` tells them; absent in the clear. */
  readonly cipher?: string | undefined
  readonly kdf?: string | undefined
  readonly secret: SecretName
  readonly outcome: Outcome
}

export type Outcome =
  /** The same key, its private half too. */
  | { readonly is: 'done'; readonly commentKept: boolean; readonly identical?: boolean | undefined }
  /** Nobody reads this format, but both write it: the same bytes. */
  | { readonly is: 'alike' }
  /** Whoever was to read it does not have it, and said so. */
  | { readonly is: 'refused'; readonly why: string }
  /** Another key came back, or a file that should be read was not: never right. */
  | { readonly is: 'wrong'; readonly why: string }

/** A peer's or our own refusal to handle a file. */
export interface Refusal {
  readonly refused: string
}

export function isRefusal(result: object): result is Refusal {
  return 'refused' in result
}
