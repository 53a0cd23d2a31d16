import fc from 'fast-check'
import { inspectSsh1 } from '../src/formats/ssh1.js'
import { PLAIN, SEALED } from './ssh1-files.js'

test('cut anywhere, a private file is damaged', () => {
  for (const bytes of [PLAIN, SEALED]) {
    for (let cut = 0; cut < bytes.length; cut++) {
      // Behind the comment whole blocks may be missing unseen: nothing is ever done with them.
      const whole = bytes.length - cut
      if (whole % 8 === 0 && cut > 190) continue
      expect(() => inspectSsh1(bytes.subarray(0, cut))).toThrow(expect.objectContaining({ code: 'damaged' }))
    }
  }
})

test('any bytes behind the beginning', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), fc.nat(PLAIN.length), (noise, at) => {
      const bytes = Buffer.concat([PLAIN.subarray(0, Math.max(33, at)), noise])
      try {
        expect(inspectSsh1(bytes).kind).toBe('private')
      } catch (error) {
        expect(error).toMatchObject({ name: 'KeytoolError' })
      }
    }),
    { numRuns: 500 },
  )
})
