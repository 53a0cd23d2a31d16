/** White space that OpenSSH passes over in base64; spaces and tabs end a field here. */
export const WHITE: RegExp = /[\r\v\f]/g

/**
 * Strict base64 (RFC 4648 section 4), as `decodeBase64` has it. `undefined` for anything else: a list may have thousands of
 * bad lines, and nobody asks where in each the fault is.
 */
export function tryBase64(text: string): Buffer | undefined {
  const packed = text.replace(WHITE, '')
  const bytes = Buffer.from(packed, 'base64')
  return bytes.toString('base64') === packed ? bytes : undefined
}
