import { KeytoolError } from '@keytool/keygen'
import { decodeMessage, requests } from '../src/index.js'
import { messages } from './certificate-messages.js'

describe.each(messages)('$type', ({ body }) => {
  test('cut anywhere, or with a byte too many, it is damaged', () => {
    const wrong = Array.from({ length: body.length - 1 }, (_, i) => body.subarray(0, i + 1))
    for (const bytes of [...wrong, Buffer.concat([body, Buffer.of(0)])]) {
      let thrown: unknown
      try {
        decodeMessage(requests.add, bytes)
      } catch (error) {
        thrown = error
      }
      expect(thrown).toBeInstanceOf(KeytoolError)
      expect(thrown).toMatchObject({ code: 'damaged' })
    }
  })
})
