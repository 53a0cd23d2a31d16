import { LINE, lineOf, outcome, PLAIN, passphrase, SEALED } from './sshcom-files.js'

describe('a file that was altered', () => {
  test.each([
    ['encrypted', SEALED, passphrase],
    ['in the clear', PLAIN, undefined],
  ])(
    '%s: any bit turned, it is refused; in the comment it may be another comment',
    async (_name, text, secret) => {
      const bytes = Buffer.from(text)
      const start = bytes.indexOf('"') + 1
      const end = bytes.indexOf('"\n')
      for (let at = 0; at < bytes.length - 1; at++) {
        for (let bit = 0; bit < 8; bit++) {
          const flipped = Buffer.from(bytes)
          flipped[at] = (flipped[at] ?? 0) ^ (1 << bit)
          const result = await outcome(flipped, secret)
          if (typeof result === 'string') expect(['damaged', 'secret-wrong', 'unsupported']).toContain(result)
          else {
            expect(at >= start && at < end).toBe(true)
            expect(lineOf(result)).toBe(LINE)
          }
        }
      }
    },
    60_000,
  )
})
