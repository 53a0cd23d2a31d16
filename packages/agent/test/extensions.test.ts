import { decodeSignature, generate, KeytoolError, PublicKey, Writer } from '@keytool/keygen'
import fc from 'fast-check'
import { decodeMessage, encodeMessage, type Row, replies, requests } from '../src/index.js'
import { type ExtensionName, type Extensions, extensionOf, extensions } from '../src/protocol/extensions.js'

const message = (text: string) => Buffer.from(text, 'base64')

/** ssh 9.2 to its agent, before it logs in at an sshd of OpenSSH 9.2. */
const BIND = message(
  'GwAAABhzZXNzaW9uLWJpbmRAb3BlbnNzaC5jb20AAAAzAAAAC3NzaC1lZDI1NTE5AAAAICnip+NfM/dsOPsExVhlfW2/Qp0TN+balqCYMZQQYmR6AAAAQNejsJ8Iw7X8MBaqXDRlQD8vsDTqWCWuPsSDz6M98Y1nIbpHLGuNe9h1BeLqlUa1VlMhiygoVTQhG6iAjNNlumkAAABTAAAAC3NzaC1lZDI1NTE5AAAAQPz2k1L22mxy6x1yNN6bbydZIVgzPuEJLOUxme2EJZIfDFTnho5e49GH76RaFacCDwwq5K+vs0XmQBnT9dbLQAcA',
)
/** What ssh-agent 10.6p1 answers to `query`. */
const QUERY_REPLY = message('HQAAAAVxdWVyeQAAABhzZXNzaW9uLWJpbmRAb3BlbnNzaC5jb20=')
/** `pageant -a --encrypted ed.ppk`; this and what follows by pageant of PuTTY's sources, July 2026. */
const ADD_PPK = message(
  'GwAAACNhZGQtcHBrQHB1dHR5LnByb2plY3RzLnRhcnRhcnVzLm9yZwAAAb9QdVRUWS1Vc2VyLUtleS1GaWxlLTM6IHNzaC1lZDI1NTE5CkVuY3J5cHRpb246IGFlczI1Ni1jYmMKQ29tbWVudDogZWQKUHVibGljLUxpbmVzOiAyCkFBQUFDM056YUMxbFpESTFOVEU1QUFBQUlKMjNheEI3NE9WUjJuNWk1MTdPeTdKZWRScmFHUzJ0eUI0cEZ0NFgKMXZITQpLZXktRGVyaXZhdGlvbjogQXJnb24yaWQKQXJnb24yLU1lbW9yeTogODE5MgpBcmdvbjItUGFzc2VzOiAyMQpBcmdvbjItUGFyYWxsZWxpc206IDEKQXJnb24yLVNhbHQ6IDNjNjBkY2ZjODNkOTAwODAyZWVhYjdiYWUxZmQyYzIyClByaXZhdGUtTGluZXM6IDEKK09UeTVXazZNbVIvOElib040NlkvTjMwRm1kT2JNeXI0ckg1V3V2aEVENWVwOWUwZDhURWM5ZjhjV0NGS01nWQpQcml2YXRlLU1BQzogZTU3YWUyZjc2ZDc0ZDViZWI0NDliOTAyOGU5MjkwNWFkODJkMzg2Y2FmMjFiZTQzNGU1MmQ4YTZlMjIxNzcwZAo=',
)
/** `pageant -r SHA256:…` */
const REENCRYPT = message(
  'GwAAACVyZWVuY3J5cHRAcHV0dHkucHJvamVjdHMudGFydGFydXMub3JnAAAAMwAAAAtzc2gtZWQyNTUxOQAAACCdt2sQe+DlUdp+YudezsuyXnUa2hktrcgeKRbeF9bxzA==',
)
/** `pageant -R`, and what pageant answers while it holds one key that has no encrypted form. */
const REENCRYPT_ALL = message('GwAAAClyZWVuY3J5cHQtYWxsQHB1dHR5LnByb2plY3RzLnRhcnRhcnVzLm9yZw==')
const REENCRYPT_ALL_REPLY = message('BgAAAAE=')
/** `pageant -l`, and what pageant answers with two keys: one sealed, one without an encrypted form. */
const LIST = message('GwAAAClsaXN0LWV4dGVuZGVkQHB1dHR5LnByb2plY3RzLnRhcnRhcnVzLm9yZw==')
const LIST_REPLY = message(
  'BgAAAAIAAAAzAAAAC3NzaC1lZDI1NTE5AAAAIJ23axB74OVR2n5i517Oy7JedRraGS2tyB4pFt4X1vHMAAAAAmVkAAAABAAAAAMAAABoAAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBHlSOCUPdpfx3x8ZXEgvpqneJmJ/5o+AfS8Gt4aGVHVbEOR6oTRrA3l/LwqraYalyurpUkenn/v0yd65dyPQdTsAAAAEZTI1NgAAAAQAAAAA',
)

function keeps<T>(row: Row<T>, body: Buffer): T {
  const value = decodeMessage(row, body)
  expect(encodeMessage(row, value).subarray(4)).toEqual(body)
  return value
}

describe('what peers send', () => {
  test('ssh: session-bind, which its host has signed', async () => {
    expect(extensionOf(BIND)).toBe('sessionBind')
    const { hostKey, sessionId, signature, forwarding } = keeps(extensions.sessionBind.request, BIND)
    expect([sessionId.length, forwarding]).toEqual([64, false])
    expect(await PublicKey.fromBlob(hostKey).verify(sessionId, decodeSignature(signature))).toBe(true)
  })

  test('ssh-agent: the names of its extensions', () => {
    expect(keeps(extensions.query.reply, QUERY_REPLY)).toEqual({ names: ['session-bind@openssh.com'] })
  })

  test('pageant: an encrypted file', () => {
    expect(extensionOf(ADD_PPK)).toBe('addPpk')
    const { file } = keeps(extensions.addPpk.request, ADD_PPK)
    expect(file.toString()).toMatch(/^PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: aes256-cbc\n[\s\S]*\n$/)
  })

  test('pageant: sealing again', () => {
    expect(extensionOf(REENCRYPT)).toBe('reencrypt')
    const { key } = keeps(extensions.reencrypt.request, REENCRYPT)
    expect(PublicKey.fromBlob(key).algorithm.type).toBe('ed25519')
    expect(extensionOf(REENCRYPT_ALL)).toBe('reencryptAll')
    keeps(extensions.reencryptAll.request, REENCRYPT_ALL)
    expect(keeps(extensions.reencryptAll.reply, REENCRYPT_ALL_REPLY)).toEqual({ left: 1 })
  })

  test('pageant: its longer list', () => {
    expect(extensionOf(LIST)).toBe('listExtended')
    keeps(extensions.listExtended.request, LIST)
    const { identities } = keeps(extensions.listExtended.reply, LIST_REPLY)
    expect(identities.map(({ comment, isOpen, isSealable }) => [comment, isOpen, isSealable])).toEqual([
      ['ed', false, true],
      ['e256', true, false],
    ])
  })

  test('a list with more behind the flags than is known today', () => {
    const writer = new Writer().byte(6).uint32(1).text('blob').text('comment')
    const longer = writer.string(new Writer().uint32(0xfffffffd).text('more').done()).done()
    expect(decodeMessage(extensions.listExtended.reply, longer).identities).toEqual([
      { blob: Buffer.from('blob'), comment: 'comment', isOpen: true, isSealable: true },
    ])
  })
})

type Samples = {
  [N in ExtensionName]: readonly [request: Extensions[N]['request'], response: Extensions[N]['response']]
}

const bytes = Buffer.from('some bytes')
let samples: Samples

beforeAll(async () => {
  const { algorithm, parts } = await generate('ed25519')
  samples = {
    query: [{}, { names: ['query', 'session-bind@openssh.com'] }],
    sessionBind: [{ hostKey: bytes, sessionId: bytes, signature: bytes, forwarding: true }, {}],
    addPpk: [{ file: bytes }, {}],
    reencrypt: [{ key: bytes }, {}],
    reencryptAll: [{}, { left: 3 }],
    listExtended: [{}, { identities: [{ blob: bytes, comment: 'héllo', isOpen: false, isSealable: true }] }],
    status: [{}, { json: '{"locked":false}' }],
    list: [{}, { json: '[]' }],
    listFor: [{ hostKeys: [bytes, Buffer.alloc(0)] }, { json: '[]' }],
    addSealed: [
      { file: bytes, comment: 'héllo', constraints: { lifetime: 9, idle: 3 }, key: { algorithm, parts } },
      {},
    ],
    unseal: [{ key: bytes, passphrase: bytes }, { fits: true }],
  }
})

const names = Object.keys(extensions) as ExtensionName[]

/** Both messages of an extension, as bytes, with what they are. */
function messagesOf(name: ExtensionName): { row: Row<unknown>; value: unknown; body: Buffer }[] {
  const { request, reply } = extensions[name]
  const rows: Row<unknown>[] = [request as Row<unknown>, reply as Row<unknown>]
  return rows.map((row, index) => {
    const value = samples[name][index]
    return { row, value, body: encodeMessage(row, value).subarray(4) }
  })
}

test('no name is used twice, and every one is found by its request', () => {
  expect(new Set(names.map(name => extensions[name].name)).size).toBe(names.length)
  for (const name of names) expect(extensionOf(messagesOf(name)[0]?.body ?? bytes)).toBe(name)
})

test('every request is also one of an extension that a peer need not know', () => {
  for (const name of names) {
    const body = messagesOf(name)[0]?.body ?? bytes
    expect(decodeMessage(requests.extension, body).name).toBe(extensions[name].name)
  }
})

test.each(names)('%s: written, read and written again it is the same', name => {
  for (const { row, value, body } of messagesOf(name)) {
    expect(decodeMessage(row, body)).toEqual(value)
    expect(encodeMessage(row, decodeMessage(row, body)).subarray(4)).toEqual(body)
  }
})

test.each(names)('%s: cut anywhere, or with a byte too many, it is damaged', name => {
  for (const { row, body } of messagesOf(name)) {
    const wrong = Array.from({ length: body.length - 1 }, (_, i) => body.subarray(0, i + 1))
    for (const each of [...wrong, Buffer.concat([body, Buffer.of(0)])]) {
      const outcome = tryToDecode(row, each)
      // Names until the end: two of them are also none or one.
      if (!(outcome instanceof KeytoolError)) expect([name, row.number]).toEqual(['query', 29])
    }
  }
})

function tryToDecode(row: Row<unknown>, body: Buffer): unknown {
  try {
    return decodeMessage(row, body)
  } catch (error) {
    expect(error).toMatchObject({ name: 'KeytoolError', code: expect.stringMatching(/^(damaged|unsupported)$/) })
    return error
  }
}

test.each(names)('%s: any bytes behind its name are read or refused', name => {
  const { request, reply } = extensions[name]
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 80 }), tail => {
      tryToDecode(request as Row<unknown>, new Writer().byte(27).text(extensions[name].name).bytes(tail).done())
      tryToDecode(reply as Row<unknown>, new Writer().byte(29).text(extensions[name].name).bytes(tail).done())
    }),
    { numRuns: 100 },
  )
})

test('an encrypted file alone', () => {
  const { request } = extensions.addSealed
  const value = { file: bytes, comment: '', constraints: {} }
  expect(decodeMessage(request, encodeMessage(request, value).subarray(4))).toEqual(value)
})

test('an encrypted file with a constraint that is not enforced', () => {
  const writer = new Writer().byte(27).text('add-sealed@keytool').string(bytes).text('')
  const body = writer.string(Buffer.of(9)).text('').done()
  expect(() => decodeMessage(extensions.addSealed.request, body)).toThrow(/number 9 is not enforced/)
})

test('more hosts than one can have keys for', () => {
  const { request } = extensions.listFor
  const body = encodeMessage(request, { hostKeys: Array.from({ length: 65 }, () => bytes) }).subarray(4)
  expect(() => decodeMessage(request, body)).toThrow(expect.objectContaining({ code: 'damaged' }))
})

test("one extension's message is not another's", () => {
  const { reply, request } = extensions.status
  const value = { json: '{}' }
  expect(() => decodeMessage(extensions.list.reply, encodeMessage(reply, value).subarray(4))).toThrow(
    /another extension/,
  )
  expect(() => decodeMessage(extensions.list.request, encodeMessage(request, {}).subarray(4))).toThrow(/another/)
})

test('what is no request of a known extension', () => {
  const asked = (name: string | Uint8Array) =>
    new Writer()
      .byte(27)
      .string(Buffer.from(name as string))
      .done()
  expect(extensionOf(asked('query'))).toBe('query')
  const others = [asked('nobody@example.com'), asked('query\0'), asked(''), asked('toString'), asked('x'.repeat(300))]
  for (const body of [...others, Buffer.of(27), Buffer.alloc(0), asked('query').subarray(0, 8), QUERY_REPLY]) {
    expect(extensionOf(body)).toBeUndefined()
  }
})

test('those that carry a secret say so, and those that change what others are answered', () => {
  const having = (trait: 'secret' | 'alone') => names.filter(name => extensions[name].request[trait])
  expect(having('secret')).toEqual(['addPpk', 'addSealed', 'unseal'])
  expect(having('alone')).toEqual(['sessionBind', 'addPpk', 'reencrypt', 'reencryptAll', 'addSealed'])
})

test('a yes without more to say is SUCCESS', () => {
  const { success } = replies
  for (const name of ['sessionBind', 'addPpk', 'reencrypt', 'addSealed'] as const) {
    expect(encodeMessage(extensions[name].reply, {})).toEqual(encodeMessage(success, {}))
  }
})
