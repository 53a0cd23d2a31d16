import { isKeytoolError } from '@keytool/keygen'

/** What does not work as it should, by what it is about. */
export class Troubles {
  readonly #texts = new Map<string, string>()

  set(about: string, text: string | undefined): void {
    if (text === undefined) this.#texts.delete(about)
    else this.#texts.set(about, text)
  }

  list(...others: readonly (string | undefined)[]): string[] {
    return [...this.#texts.values(), ...others.flatMap(text => text ?? [])]
  }
}

/** In one line. */
export function explain(error: unknown): string {
  if (!isKeytoolError(error)) return String((error as Error).message)
  return error.reason === undefined ? error.message : `${error.message}: ${error.reason}`
}
