import { generate, type PublicKey } from '@keytool/keygen'
import { parseDestination, resolveDestination } from '../src/hosts/destination-spec.js'

const usage = expect.objectContaining({ code: 'usage', hint: expect.any(String) })

describe('what ssh-add -h takes', () => {
  test.each([
    ['web', { to: { user: '', host: 'web' } }],
    ['Web.Example', { to: { user: '', host: 'Web.Example' } }],
    ['root@web', { to: { user: 'root', host: 'web' } }],
    ['*@web', { to: { user: '*', host: 'web' } }],
    ['a?min*@web', { to: { user: 'a?min*', host: 'web' } }],
    ['--BADUSER@web', { to: { user: '--BADUSER', host: 'web' } }],
    ['hana@corp@web', { to: { user: 'hana@corp', host: 'web' } }],
    [`${'u'.repeat(256)}@web`, { to: { user: 'u'.repeat(256), host: 'web' } }],
    ['192.0.2.1', { to: { user: '', host: '192.0.2.1' } }],
    ['::1', { to: { user: '', host: '::1' } }],
    ['[::1]', { to: { user: '', host: '::1' } }],
    ['[web]', { to: { user: '', host: 'web' } }],
    ['[web]:2222', { to: { user: '', host: '[web]:2222' } }],
    ['root@[::1]:2222', { to: { user: 'root', host: '[::1]:2222' } }],
    ['jump>web', { from: { host: 'jump' }, to: { user: '', host: 'web' } }],
    ['jump>root@web', { from: { host: 'jump' }, to: { user: 'root', host: 'web' } }],
    ['[jump]:2222>*@[::1]', { from: { host: '[jump]:2222' }, to: { user: '*', host: '::1' } }],
  ])('%s', (text, spec) => {
    expect(parseDestination(text)).toEqual(spec)
  })
})

test.each([
  ['nothing', ''],
  ['a user alone', 'root@'],
  ['a host with an empty user', '@web'],
  ['empty brackets', '[]'],
  ['no host before the step', '>web'],
  ['no host after the step', 'jump>'],
  ['a user alone after the step', 'jump>root@'],
  ['a user at the host it leads from', 'root@jump>web'],
  ['an empty user at the host it leads from', '@jump>web'],
  ['two steps', 'a>b>c'],
  ['a blank in a host', 'root@web 1'],
  ['a line end', 'web\n'],
  ['a turned text', 'web\u202e'],
  ['a user of 257 bytes', `${'ü'.repeat(128)}x@web`],
])('%s: no destination', (_name, text) => {
  expect(() => parseDestination(text)).toThrow(usage)
})

describe('with keys', () => {
  let [own, second, authority]: PublicKey[] = []

  beforeAll(async () => {
    const made = await Promise.all(['ed25519', 'ecdsa-256', 'ed25519'].map(type => generate(type)))
    ;[own, second, authority] = made.map(({ publicKey }) => publicKey)
  })

  /** As known_hosts would answer; asks are noted. */
  function makeLookup() {
    const asked: string[] = []
    const lookup = async (host: string) => {
      asked.push(host)
      if (!own || !second || !authority) throw new Error('not made')
      const plain = { key: own, isAuthority: false }
      return host.endsWith('web')
        ? [plain, { key: second, isAuthority: false }, { key: authority, isAuthority: true }]
        : host === 'twice'
          ? [plain, { ...plain, key: plain.key.withComment('again') }, { ...plain, isAuthority: true }]
          : []
    }
    return { asked, lookup }
  }

  test('from here: a hop without name and keys leads to all keys of the host, authorities marked', async () => {
    const { asked, lookup } = makeLookup()
    const destination = await resolveDestination(parseDestination('root@Web'), lookup)
    expect(destination).toEqual({
      from: { user: '', host: '', keys: [] },
      to: {
        user: 'root',
        host: 'Web',
        keys: [
          { key: own, isAuthority: false },
          { key: second, isAuthority: false },
          { key: authority, isAuthority: true },
        ],
      },
    })
    expect(asked).toEqual(['web'])
  })

  test('from a host: both are looked up', async () => {
    const { asked, lookup } = makeLookup()
    const { from, to } = await resolveDestination(parseDestination('twice>web'), lookup)
    expect(from).toMatchObject({ user: '', host: 'twice' })
    expect(to.keys).toHaveLength(3)
    expect(asked).toEqual(['twice', 'web'])
  })

  test('a key that stands twice is put in once; as an authority it is another', async () => {
    const { to } = await resolveDestination(parseDestination('twice'), makeLookup().lookup)
    expect(to.keys.map(({ isAuthority }) => isAuthority)).toEqual([false, true])
  })

  test.each([
    ['nowhere', /nowhere/, /connect to nowhere/],
    ['web>nowhere', /nowhere/, /connect to nowhere/],
    ['nowhere>web', /nowhere/, /connect to nowhere/],
    ['mail:2222', /mail:2222/, /\[mail\]:2222/],
  ])('%s: no key, with what to do', async (text, message, hint) => {
    const done = resolveDestination(parseDestination(text), makeLookup().lookup)
    await expect(done).rejects.toMatchObject({
      code: 'not-found',
      message: expect.stringMatching(message),
      hint: expect.stringMatching(hint),
    })
  })

  test('what the lookup says is passed on', async () => {
    const trouble = new Error('unreadable')
    const done = resolveDestination(parseDestination('web'), () => Promise.reject(trouble))
    await expect(done).rejects.toBe(trouble)
  })
})
