import { KeytoolError } from '@keytool/keygen'

/** What a line may take from standard input with `-`. */
interface FromStdin {
  readonly hosts?: string
  readonly passwordFile?: string
  readonly passphraseFile?: string
  readonly tokenFile?: string
}

/** Standard input can be one thing only. Throws `usage`. */
export function checkOneStdin({ hosts, passwordFile, passphraseFile, tokenFile }: FromStdin): void {
  const named = [hosts, passwordFile, passphraseFile, tokenFile].filter(path => path === '-')
  if (named.length > 1)
    throw new KeytoolError('usage', 'only one of these can come from standard input: hosts, a secret')
}
