import type { AuthMethod } from '@keytool/tunnel'

/**
 * The ways to log in for whoever has named a file with a password: it is meant to be used, so keys come only where the server
 * takes none, or wants a key besides.
 */
export function keysLast(methods: readonly AuthMethod[]): readonly AuthMethod[] {
  return [...methods].sort((one, other) => Number(one === 'publickey') - Number(other === 'publickey'))
}
