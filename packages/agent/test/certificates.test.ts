import {
  FOREVER,
  generate,
  KeytoolError,
  PrivateKey,
  PublicKey,
  publicAlgorithmNamed,
  readCertificate,
  Writer,
} from '@keytool/keygen'
import { decodeMessage, encodeMessage, requests } from '../src/index.js'

/**
 * What `ssh-add key` sends when `key-cert.pub` lies beside the key: the second of its two messages. The certificates are by
 * `ssh-keygen -s ca -I NAME -n hana -V always:forever key.pub`. OpenSSH 9.2; the last one 10.6p1.
 */
const RECORDED: readonly (readonly [type: string, message: string])[] = [
  [
    'ed25519',
    'EQAAACBzc2gtZWQyNTUxOS1jZXJ0LXYwMUBvcGVuc3NoLmNvbQAAAbYAAAAgc3NoLWVkMjU1MTktY2VydC12MDFAb3BlbnNzaC5jb20AAAAgiNeo0BrGc5mgs7G4AHQUgwMUrQXrpUQGkLkNjrWaMKYAAAAgnbdrEHvg5VHafmLnXs7Lsl51GtoZLa3IHikW3hfW8cwAAAAAAAAAAAAAAAEAAAACZWQAAAAIAAAABGhhbmEAAAAAAAAAAP//////////AAAAAAAAAIIAAAAVcGVybWl0LVgxMS1mb3J3YXJkaW5nAAAAAAAAABdwZXJtaXQtYWdlbnQtZm9yd2FyZGluZwAAAAAAAAAWcGVybWl0LXBvcnQtZm9yd2FyZGluZwAAAAAAAAAKcGVybWl0LXB0eQAAAAAAAAAOcGVybWl0LXVzZXItcmMAAAAAAAAAAAAAADMAAAALc3NoLWVkMjU1MTkAAAAg8kAxqgUunumtFfParJjIZsbSKHaodsPzwB/nr/jAc7MAAABTAAAAC3NzaC1lZDI1NTE5AAAAQHbYRGtANmdGDEEaGSiUhad/QSotZjB0YBRztFeeMpFE2NTgwPJVUHJ076ajNHlF720byjxNumwHR9kDep2Ltg0AAAAgnbdrEHvg5VHafmLnXs7Lsl51GtoZLa3IHikW3hfW8cwAAABAmpVX8DHwEP3Y/N+o1x6nFihA3cjdWPInCiGcJ0u2QTqdt2sQe+DlUdp+YudezsuyXnUa2hktrcgeKRbeF9bxzAAAAAJlZA==',
  ],
  [
    'ecdsa-256',
    'EQAAAChlY2RzYS1zaGEyLW5pc3RwMjU2LWNlcnQtdjAxQG9wZW5zc2guY29tAAAB7QAAAChlY2RzYS1zaGEyLW5pc3RwMjU2LWNlcnQtdjAxQG9wZW5zc2guY29tAAAAIO7932wboGKjs9CUslrkAGX2gP1+7iVdWt9qINBDWo6aAAAACG5pc3RwMjU2AAAAQQR5UjglD3aX8d8fGVxIL6ap3iZif+aPgH0vBreGhlR1WxDkeqE0awN5fy8Kq2mGpcrq6VJHp5/79MneuXcj0HU7AAAAAAAAAAAAAAABAAAABGUyNTYAAAAIAAAABGhhbmEAAAAAAAAAAP//////////AAAAAAAAAIIAAAAVcGVybWl0LVgxMS1mb3J3YXJkaW5nAAAAAAAAABdwZXJtaXQtYWdlbnQtZm9yd2FyZGluZwAAAAAAAAAWcGVybWl0LXBvcnQtZm9yd2FyZGluZwAAAAAAAAAKcGVybWl0LXB0eQAAAAAAAAAOcGVybWl0LXVzZXItcmMAAAAAAAAAAAAAADMAAAALc3NoLWVkMjU1MTkAAAAg8kAxqgUunumtFfParJjIZsbSKHaodsPzwB/nr/jAc7MAAABTAAAAC3NzaC1lZDI1NTE5AAAAQCjSUCSwmh988o/la2JSnADnjsfoM5hC44Sr7KC1WSsFHpjGVe2k2nrAxMwmxhwJoXzl+fSEaUdIqsAjC0lckAQAAAAhAJYGCl7s7Lm188D/hldPJHyNGN5Vi4I3JR+VBcGWdJPcAAAABGUyNTY=',
  ],
  [
    'ecdsa-384',
    'EQAAAChlY2RzYS1zaGEyLW5pc3RwMzg0LWNlcnQtdjAxQG9wZW5zc2guY29tAAACDQAAAChlY2RzYS1zaGEyLW5pc3RwMzg0LWNlcnQtdjAxQG9wZW5zc2guY29tAAAAIDuLu8cQTxONG5n7LOc9XIXA5sV8BI0LNjf4N2qL3JXwAAAACG5pc3RwMzg0AAAAYQQmTdXQde8qSLAfd4w2BDXU/JB/PTj2vAwTQLiIVhJcNExT0f5vO/HHNHQYX47AO1VIEBOmjpJYfHHCDWTyTnsEmilYpSImZUO5Cr2IvQw9G63IQGfNijQhDyazSyUD7/8AAAAAAAAAAAAAAAEAAAAEZTM4NAAAAAgAAAAEaGFuYQAAAAAAAAAA//////////8AAAAAAAAAggAAABVwZXJtaXQtWDExLWZvcndhcmRpbmcAAAAAAAAAF3Blcm1pdC1hZ2VudC1mb3J3YXJkaW5nAAAAAAAAABZwZXJtaXQtcG9ydC1mb3J3YXJkaW5nAAAAAAAAAApwZXJtaXQtcHR5AAAAAAAAAA5wZXJtaXQtdXNlci1yYwAAAAAAAAAAAAAAMwAAAAtzc2gtZWQyNTUxOQAAACDyQDGqBS6e6a0V89qsmMhmxtIodqh2w/PAH+ev+MBzswAAAFMAAAALc3NoLWVkMjU1MTkAAABAc/9N2MpEzTwpTaZMgKzEls2/TfpGh+AnDLNyGyfIg6ghEX16HqkuKwIz83pBPIzplxh6Cna9nuiDlEaCyJBrCgAAADEAgAgJO94m1HQp9ahEGGedX4C27TYopiKLj55rXRzgBj8oKJsRafJ2KyI6IVYwpOVjAAAABGUzODQ=',
  ],
  [
    'ecdsa-521',
    'EQAAAChlY2RzYS1zaGEyLW5pc3RwNTIxLWNlcnQtdjAxQG9wZW5zc2guY29tAAACMQAAAChlY2RzYS1zaGEyLW5pc3RwNTIxLWNlcnQtdjAxQG9wZW5zc2guY29tAAAAIMsZ2ZMsX2bbdHWRg0yVKfFB6aIiW1SGRQPr1lN7IXjdAAAACG5pc3RwNTIxAAAAhQQA80X1UFqHk16EFMMg67jY2CBsdixYFRQli9KP+r7pG5xCQDGmb3+zXzjNBuuoc7VzTM+tAXE1AzUit0PGrNv5SMgAHF/UffWXEbAKhIapwUh8a5U/Ih8r0qkTN4OAZi5T/TwXzGl8wqCbaP/1kdJGcDiu6zmD99MK8MwcnK2WgDB+losAAAAAAAAAAAAAAAEAAAAEZTUyMQAAAAgAAAAEaGFuYQAAAAAAAAAA//////////8AAAAAAAAAggAAABVwZXJtaXQtWDExLWZvcndhcmRpbmcAAAAAAAAAF3Blcm1pdC1hZ2VudC1mb3J3YXJkaW5nAAAAAAAAABZwZXJtaXQtcG9ydC1mb3J3YXJkaW5nAAAAAAAAAApwZXJtaXQtcHR5AAAAAAAAAA5wZXJtaXQtdXNlci1yYwAAAAAAAAAAAAAAMwAAAAtzc2gtZWQyNTUxOQAAACDyQDGqBS6e6a0V89qsmMhmxtIodqh2w/PAH+ev+MBzswAAAFMAAAALc3NoLWVkMjU1MTkAAABA5EY52aXjuRppt3vhqLMJZSzyaQWR5MaYn5OdSRKJVKlLRbcnc2nRTtg1Kbdbb/0O+wHorxHg1AfibdFA8HByDgAAAEIAi2a3qxIsa1wwfoaFeoAMNRPONflqp7Yf0a9elQ3MsFueV2W/Ipjysv5aJ+NTJPFoM19pZVdj2Tnt8fjgTfzTEPMAAAAEZTUyMQ==',
  ],
  [
    'rsa',
    'EQAAABxzc2gtcnNhLWNlcnQtdjAxQG9wZW5zc2guY29tAAACGwAAABxzc2gtcnNhLWNlcnQtdjAxQG9wZW5zc2guY29tAAAAIKAkYYpGdmwLg8u46wKgTTuRuXKqTKkst+1zWVsUTktXAAAAAwEAAQAAAIEAwx9EoSOt3E0GzMrxyhNJxVrZ8sDoexWKapf0YxGbYV5KtRhJoFesAn9Qt/sKt0zOvKTQeRZycv9J666pWlLLuKo4wPWVuOnnC1YREtAkNSZmnIYYAqjERtjZrkkaST8RdSQiFdAPd73BFbJXHVwKx9Z5MGNvjRAnvkUYUaqSuv8AAAAAAAAAAAAAAAEAAAADcnNhAAAACAAAAARoYW5hAAAAAAAAAAD//////////wAAAAAAAACCAAAAFXBlcm1pdC1YMTEtZm9yd2FyZGluZwAAAAAAAAAXcGVybWl0LWFnZW50LWZvcndhcmRpbmcAAAAAAAAAFnBlcm1pdC1wb3J0LWZvcndhcmRpbmcAAAAAAAAACnBlcm1pdC1wdHkAAAAAAAAADnBlcm1pdC11c2VyLXJjAAAAAAAAAAAAAAAzAAAAC3NzaC1lZDI1NTE5AAAAIPJAMaoFLp7prRXz2qyYyGbG0ih2qHbD88Af56/4wHOzAAAAUwAAAAtzc2gtZWQyNTUxOQAAAEDDeXFYLF+WeiY12veo83NYxjK1R6FSHoPd0BT3u/sILuehb+qpvsbGM6ymBEHy/QFQSm3pd7Cvy8nRO9+Jv0YIAAAAgBWSyXW/iiOHaK8P6TfcdhWZ++r5JTsmoI00i9LASZu0XzIyo0FVMDF+fiA5Y2/s0BbPajVZJAJO849ZWmQgL2Hj61q3dx7ekdIKlq0EsQkr2y5iK4K+fvGfLvXRaIlHrUHvyAGWLh13UyfVoLIRRyiIZegwJUqn5BVpCVNuG80xAAAAQQCu1z2oihdZkiOZgdHPwJuyuAUAAp35Zr3oMGNHfc5I3EVGu6iLUCOZSpY/AH3TIUYK7yVNl4hBxlvEpLlVpuplAAAAQQDyK+SizvZBxXSDTe9AmU4gEKWuHlji+o517lvzKbMc2DgQSupvD2iql0rcLluInyY2isP7zNZVZZaLNUQRtKqDAAAAQQDOQ5lzSR2bUUNKAq0EIQ8gwAQUdrLRGsNDdIHga5Skbi0kcpKJEyZFYVxMEkxR26I0p4f10j1LX2XL4Q7jlPTVAAAAA3JzYQ==',
  ],
  [
    'dsa',
    'EQAAABxzc2gtZHNzLWNlcnQtdjAxQG9wZW5zc2guY29tAAADNgAAABxzc2gtZHNzLWNlcnQtdjAxQG9wZW5zc2guY29tAAAAIOOIeGXOzyVtLABe6xRAe0Uwoqj6SwaH/h2Z7TVFCE6lAAAAgQDg3XwEFFZpgYhT7J5ziaWgHpPAnBvk0fL+gdeXxjK1xuM7v3NTbrtq94B4idWSwHdqem7JlZbfkMxW4ijsWCHFhrvTYPDRfgZLj6ZeQ0Dexd5VIuG+A7wVzKIfsVbBCGJM+itjCRTsNrR/If/UkmqV8WbxI0vksAQT4ff53PrvnQAAABUAusf/xBIFcwtq6LfJ/+Qs5BeNjukAAACAJbZKE2g3yUIoFZ3pYGYJ+gP3F0Qz2qovtqxwO4cPp+osmnSotyJUR4UsYtd5jXPRGIHdmqotPy3lYDosobugavqnE4qjYck7yp3yhXneiu7ChTKSBjt5vrRofUCd9ZohcUYorh1bXh8+D70Vk5xMKsvMeU8tFr9QEBxAYAWqkpMAAACBANO8osc5KJ7HOECN5598oxbAkAIpqTbxi3PvXe6UsmNZ9EiSN1tBvlN3xNthCPF9cmizBwZ7jwihhIaWHzePdfAY/3JzwLqfjsWMBzckls20kfqZEximkHaYF5ytJvL/p3jrljJHktcjTAkV+gtEZ52g/7bofG1HOvpQtiPXrQLEAAAAAAAAAAAAAAABAAAAA2RzYQAAAAgAAAAEaGFuYQAAAAAAAAAA//////////8AAAAAAAAAggAAABVwZXJtaXQtWDExLWZvcndhcmRpbmcAAAAAAAAAF3Blcm1pdC1hZ2VudC1mb3J3YXJkaW5nAAAAAAAAABZwZXJtaXQtcG9ydC1mb3J3YXJkaW5nAAAAAAAAAApwZXJtaXQtcHR5AAAAAAAAAA5wZXJtaXQtdXNlci1yYwAAAAAAAAAAAAAAMwAAAAtzc2gtZWQyNTUxOQAAACDyQDGqBS6e6a0V89qsmMhmxtIodqh2w/PAH+ev+MBzswAAAFMAAAALc3NoLWVkMjU1MTkAAABAg6X8u3HWBQtp2Ny4nd8+hq/poMRMSsmlTftnD270NbmF83vZKjMxbUqPCQ8dDTj5f2Rqe+iL3TWYoA8bJIUkAwAAABUAi8v77xSOKAimShRTPLvi/z0rgX4AAAADZHNh',
  ],
  [
    'mldsa44-ed25519',
    'EQAAABhzc2gtbWxkc2E0NC1lZDI1NTE5LWNlcnQAAAbOAAAAGHNzaC1tbGRzYTQ0LWVkMjU1MTktY2VydAAAACDTjhU+TXx3wj3jGQEfWYxMVznVCKLxC7adJtkOXTw44gAABUCdnW14TY385F4t6tVyUyNnnrhCIHlZ7wvck232TNgBdK5E+HbKJNv9S/HjrovCn8ZOcnUf4ZrgqRwA9a0/0aup9QTLyyH7596LoERBoZLOVIpn9egClvQxkq8VzHSBSO28A2itybvCeQ9qazNHw6FIqvJxUOJ4tTaAqwe8RD3ktwFUBkkrNpwchWSofo2Ot/ErjXFm+OB8dIfy3d4/o9wRaHc19LUc9N7hZCQTnc8/bINok5SQVmYyKC3KTObJswmJBlcDLPWJcI9AL3smCwQ/Nt9mhsTr+Am+I7wBXOuoHTnH8/gHS9TzHl8N+ldHS+HTXb0cVP6w8WGFLNGOAqDrZjUtz5+O8EiNERcQD/35SW9XfP8nEIvvHiG/X5DRBw50eSS7xAa1MKbi6hvWXbu4OBzfRqk0BQxP3cMyLJJ5Ywy9rn3SQ0W2E94z/vHisV1x0yw8fT0M4ccxqQCY4YwrCF/pm4wnJotaq2zaHpCnin8lnjEJPC0zfCLIFrBt2UGZIOpmk8wi5fW8/VWoO4/llLJlI2c/js7ipnSjVnk1uXgmGj+scUZ+RZ0i+GGD2SohHdSPF6SKvmxhoQEMgu8xXjkzby5gVYKUCb8tyETLltXmC9KcU2Coy3/BiVs8Zpd6FzDrrWNdH4VNetf444hc89gzh8ct08v+s5xkAIXQlGmps+w198RFA3X3YjLYrNQwHlR5cuz2C5OsP/BP/EDTzPSTuMIADFy62e5rsw0lgyMr5ViLQ/n899+0dooioxmFJ9u9VBnPDWaNhYUZiUZuUo8TWE4qk8twEeGsZ7LZWxU/RNzMtBqUTcAif6BN918tXLZ+dg4mSz9R1HNRSeTLd2fg3NnnbvafYn4aLtn5WO1Vp/j7gSAfYTNLc1+WI6W7sECvZpp/7+NQLmZc0DtNODsKoJwVwm99oPLeuUGnkTeRfBuQKW7znr/p0Fzlgajo2MrD2/9m/o6UVOLeWExQjEGaH2z63h6vS192yT0FMxVN/xuy0F/x9Ejo0vb6oej6R3H8jw8vHq0ZF3Nr2lRuIXGimV9JLmbQvwchonl76Ixl1KoJcsutYi1AcxTzYBBGiyxjAY44pgRIUwZw8+U0+adKONp/pM10T83CNE9hWNRtONPOMfPHcFNrtcZYp/ecAQc1ozIBJZf8N3l5GKWZ8pWyIr7X8W3HQB/gJcjZrQ+NB/JgzH+gYIlSSdpmHDFBqR+BBu0xdtFFXArkp03yOmgwQb2jea4n3satsQ54yvCiQoi9gqYXd5O/ONCYwB/y/NkWtKHXeYs9udMtm8KXZuaf0LT1zcr7b6P/L8VJXfN9NFUd2JBFrlVeNo6pzgE2oswMZSeG2vroM0PKC3EW3c+mNX7udGS7lreW+NOAmfXFPVDYyscIc8Lc4aPHocF60aM02Tk5IggqBnU7ZLhombuFIFc2qRXGmnkYRoupPQaJ4w9GXHWXkA+J0chXb2tk3At8o76CTNmENpCPvOrc5NCwaj7oTjYVRfAFVXuxBQuCVMrAwluSO0hLtlgJ8Asgqvc5ovK8x5SBgaUwLyaQVyhi7bEbZQHmR8OTsRG8Oq9yFAnH6bPK1Ym6vAqsc+AKmg5OtiM+HnaeWr7+XTJPjNQCnNvbWTofF4owhMcVgUHMlrEflKrxnCywAHSX/vO5mcH4PDGY8OBYNfsTYuYGSMrcNp1YeYgPI9Za47rEbsfRidW68Hu+sFzla0SAsrzUgT39npcclTbx9xbPOMp24VLz/WhozGC13PM3p9ona17e/BW3H+AqkV74F++SRWAAAAAAAAAAAAAAAAEAAAACcHEAAAAIAAAABGhhbmEAAAAAAAAAAP//////////AAAAAAAAAIIAAAAVcGVybWl0LVgxMS1mb3J3YXJkaW5nAAAAAAAAABdwZXJtaXQtYWdlbnQtZm9yd2FyZGluZwAAAAAAAAAWcGVybWl0LXBvcnQtZm9yd2FyZGluZwAAAAAAAAAKcGVybWl0LXB0eQAAAAAAAAAOcGVybWl0LXVzZXItcmMAAAAAAAAAAAAAADMAAAALc3NoLWVkMjU1MTkAAAAg8kAxqgUunumtFfParJjIZsbSKHaodsPzwB/nr/jAc7MAAABTAAAAC3NzaC1lZDI1NTE5AAAAQOOe9k3JlfuH7XHxdOi2UtYiYLHeDHyu8tPWHNFOAfGMCJjAylIK7ypdTEIdmUwXMZq/0RlFvWLzoVk1XUDrcQsAAABAh3+tbQc1xjd3+5oIvj3YFKCSvvK32w9XkeEFEooPcnP0/1I6qGIZiS+NTRAgjirJeD3dvAPs6/gStVfN5OscOwAAAAJwcQ==',
  ],
]

const messages = RECORDED.map(([type, message]) => ({ type, body: Buffer.from(message, 'base64') }))

function bodyOf(type: string): Buffer {
  const found = messages.find(message => message.type === type)
  if (!found) throw new Error(`nothing recorded of ${type}`)
  return found.body
}

describe.each(messages)('$type', ({ type, body }) => {
  const read = () => decodeMessage(requests.add, body)

  test('the certificate, and a key that it is of', async () => {
    const { key, comment } = read()
    expect(key.algorithm.type).toBe(type)
    expect(key.certificate?.algorithm.certifies).toBe(key.algorithm)
    if (!key.certificate) throw new Error('no certificate')
    expect(readCertificate(key.certificate)).toMatchObject({ kind: 'user', principals: ['hana'], validBefore: FOREVER })
    const opened = (await PrivateKey.fromParts(key.algorithm, key.parts, comment)).withCertificate(key.certificate)
    const signature = await opened.sign(Buffer.from('data'))
    expect(await key.certificate.verify(Buffer.from('data'), signature)).toBe(true)
    // Nothing of the certificate but the key itself has become a part of the key.
    expect(Object.keys(key.parts)).not.toContain('nonce')
  })

  test('written again it is the same', () => {
    expect(encodeMessage(requests.add, read()).subarray(4)).toEqual(body)
    const constrained = { ...read(), constraints: { lifetime: 9 } }
    const written = encodeMessage(requests.addConstrained, constrained).subarray(4)
    expect(decodeMessage(requests.addConstrained, written)).toEqual(constrained)
  })

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

  test('the private parts of another key: refused, at the latest when the key is made', async () => {
    const { key, comment } = read()
    const other = type === 'dsa' ? undefined : await generate(type, type === 'rsa' ? { bits: 2048 } : {})
    const { algorithm, certificate } = key
    if (!certificate) throw new Error('no certificate')
    // DSA keys are not made any more: the certificate's y is left, x is another.
    const parts = other?.parts ?? { ...key.parts, x: Buffer.of(7) }
    const message = encodeMessage(requests.add, { key: { algorithm, parts, certificate }, comment }).subarray(4)
    const open = async () => {
      const { key } = decodeMessage(requests.add, message)
      await PrivateKey.fromParts(key.algorithm, key.parts)
    }
    await expect(open()).rejects.toMatchObject({ name: 'KeytoolError', code: 'damaged' })
  })
})

/** An ADD_IDENTITY with these bytes where the certificate should be, and Ed25519's private parts behind them. */
function addition(name: string, certificate: Uint8Array): Buffer {
  const { key } = decodeMessage(requests.add, bodyOf('ed25519'))
  const writer = new Writer().byte(requests.add.number).text(name).string(certificate)
  key.algorithm.privateFields.write(writer, key.parts)
  return writer.text('comment').done()
}

const ED25519 = 'ssh-ed25519-cert-v01@openssh.com'

test('the name of one type, the certificate of another', () => {
  const { key } = decodeMessage(requests.add, bodyOf('ecdsa-256'))
  const other = key.certificate?.blob ?? Buffer.alloc(0)
  expect(() => decodeMessage(requests.add, addition(ED25519, other))).toThrow(/another type/)
})

test('a plain key in the place of its certificate', () => {
  const { key } = decodeMessage(requests.add, bodyOf('ed25519'))
  const plain = PublicKey.fromParts(key.algorithm, key.parts).blob
  expect(() => decodeMessage(requests.add, addition(ED25519, plain))).toThrow(/another type/)
})

test('a byte behind the certificate, within its string', () => {
  const { key } = decodeMessage(requests.add, bodyOf('ed25519'))
  const long = Buffer.concat([key.certificate?.blob ?? Buffer.alloc(0), Buffer.of(0)])
  expect(() => decodeMessage(requests.add, addition(ED25519, long))).toThrow(
    expect.objectContaining({ code: 'damaged' }),
  )
})

test.each(['sk-ssh-ed25519-cert-v01@openssh.com', 'sk-ecdsa-sha2-nistp256-cert-v01@openssh.com'])(
  '%s: unsupported, as is every key in a token',
  name => {
    expect(() => decodeMessage(requests.add, addition(name, Buffer.alloc(0)))).toThrow(
      expect.objectContaining({ code: 'unsupported' }),
    )
  },
)

test('types of which no tool here makes certificates, and host certificates, travel just so', async () => {
  const { key: recorded } = decodeMessage(requests.add, bodyOf('ed25519'))
  const claims = recorded.certificate?.parts ?? {}
  for (const [type, kind] of [
    ['ed448', 1],
    ['ed25519', 2],
  ] as const) {
    const { algorithm, parts, publicKey } = await generate(type)
    const row = publicAlgorithmNamed(`${algorithm.name}-cert-v01@openssh.com`)
    const certificate = PublicKey.fromParts(row, { ...claims, ...publicKey.parts, kind: Buffer.of(0, 0, 0, kind) })
    const value = { key: { algorithm, parts, certificate }, comment: '' }
    const back = decodeMessage(requests.add, encodeMessage(requests.add, value).subarray(4))
    expect(back.key.certificate?.blob).toEqual(certificate.blob)
    expect(back.key.parts).toEqual(parts)
  }
})
