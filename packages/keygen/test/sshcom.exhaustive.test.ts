import { sshcom } from '../src/formats/sshcom/sshcom.js'
import { LINE, lineOf, outcome, PLAIN, passphrase, SEALED } from './sshcom-files.js'

describe('a file that was altered', () => {
  test('cut anywhere, it is damaged, with the offset', async () => {
    // The very last newline carries nothing.
    for (let cut = 0; cut < Buffer.byteLength(SEALED) - 1; cut++) {
      const error = await sshcom.read(Buffer.from(SEALED).subarray(0, cut), { passphrase }).catch(error => error)
      expect(error).toMatchObject({ code: 'damaged' })
      expect(error.offset).toBeLessThanOrEqual(cut)
    }
  })

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
    240_000,
  )
})
