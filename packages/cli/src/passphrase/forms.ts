/**
 * The two ways in which Unicode spells one text (UAX 15). NFC is what keyboards type nearly everywhere; NFD is what macOS
 * makes of file names, and what some of its editors and input methods hand out. The compatibility forms (NFKC, NFKD) are
 * not here: they turn a text into another one, and no keyboard or editor applies them to what somebody types.
 */
const forms = [
  ['NFC', 'letters with their accents as one character, as most keyboards type them'],
  ['NFD', 'letters and accents apart, as macOS spells file names'],
] as const

/**
 * The same passphrase as other systems would have spelt it: a file's key is made from bytes, and both NFC and NFD bytes
 * look alike on a screen. To be tried after the passphrase itself was wrong.
 * @param passphrase UTF-8 without a line's end
 * @returns at most two, each differing from `passphrase`; none for ASCII, and none for bytes that are not UTF-8. They are
 *   secrets like `passphrase`: whoever asked wipes them
 */
export function otherForms(passphrase: Uint8Array): Buffer[] {
  const text = decode(passphrase)
  if (text === undefined) return []
  return forms
    .map(([form]) => text.normalize(form))
    .filter((spelt, i, all) => spelt !== text && all.indexOf(spelt) === i)
    .map(spelt => Buffer.from(spelt, 'utf8'))
}

/**
 * What to tell somebody whose file opened with one of {@link otherForms}, as the end of a sentence about the file:
 * `opens with the same passphrase in another Unicode form (NFD: …)`.
 */
export function describeForm(form: Uint8Array): string {
  const text = decode(form)
  const [name, meaning] = (text !== undefined && forms.find(([each]) => text.normalize(each) === text)) || []
  return `opens with the same passphrase in another Unicode form${name ? ` (${name}: ${meaning})` : ''}`
}

/** `undefined` for ASCII, which is all of its forms at once, and for what is no UTF-8. */
function decode(bytes: Uint8Array): string | undefined {
  if (bytes.every(byte => byte < 0x80)) return undefined
  try {
    // A byte order mark at the start is part of the passphrase.
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    return undefined
  }
}
