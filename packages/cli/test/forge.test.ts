import { type ForgeFlags, readForges } from '../src/fleet/forge/forge.js'
import { type ForgeOptions, planForges } from '../src/fleet/forge/on-forge.js'

// Which forge the flags mean, and what they can't mean. What is done there: test/forge.

test.each<[ForgeFlags, string, string]>([
  [{ github: true }, 'https://api.github.com', 'github.com'],
  [{ github: 'https://github.com' }, 'https://api.github.com', 'github.com'],
  [{ github: 'https://github.com/' }, 'https://api.github.com', 'github.com'],
  [{ github: 'https://api.github.com' }, 'https://api.github.com', 'github.com'],
  [{ github: 'https://ghe.example' }, 'https://ghe.example/api/v3', 'ghe.example'],
  [{ github: 'https://ghe.example:8443/api/v3/' }, 'https://ghe.example:8443/api/v3', 'ghe.example:8443'],
  [{ gitlab: true }, 'https://gitlab.com/api/v4', 'gitlab.com'],
  [{ gitlab: 'https://git.example/gitlab' }, 'https://git.example/gitlab/api/v4', 'git.example'],
  [{ gitea: 'https://codeberg.org' }, 'https://codeberg.org/api/v1', 'codeberg.org'],
  [{ gitea: 'http://127.0.0.1:3000' }, 'http://127.0.0.1:3000/api/v1', '127.0.0.1:3000'],
  [{ gitea: 'http://[::1]:3000' }, 'http://[::1]:3000/api/v1', '[::1]:3000'],
  [{ gitea: 'http://localhost:3000' }, 'http://localhost:3000/api/v1', 'localhost:3000'],
])('%j', (flags, base, name) => {
  expect(readForges(flags)).toEqual([{ kind: Object.keys(flags)[0], base, name }])
})

test.each<[ForgeFlags & ForgeOptions, RegExp]>([
  [{ gitea: true }, /--gitea needs the address/],
  [{ github: 'hana@example.com' }, /an address begins with https:\/\//],
  [{ github: 'ghe.example' }, /an address begins with https:\/\//],
  [{ gitlab: 'http://git.example' }, /everybody on the way would see the token/],
  [{ gitlab: 'http://127.0.0.1.evil.example' }, /everybody on the way/],
  [{ gitlab: 'http://localhost.evil.example' }, /everybody on the way/],
  [{ gitlab: 'ftp://git.example' }, /an address begins with/],
  [{ gitlab: 'https://git.example/?private_token=x' }, /nothing stands behind its path/],
  [{ gitlab: 'https://git.example/api/v1' }, /the API of GitLab begins at \/api\/v4/],
  [{ gitea: 'https://git.example', signing: true }, /no keys for signing alone/],
  [{ github: true, gitlab: true, tokenFile: 't' }, /one token is not for several servers/],
  [{ github: true, title: '' }, /--title takes one line/],
  [{ github: true, title: 'a\nb' }, /--title takes one line/],
  [{ github: true, title: 'x'.repeat(256) }, /--title takes one line/],
  [{ title: 'x' }, /--title is for --github/],
  [{ tokenFile: 'x' }, /--token-file is for --github/],
  [{ rememberToken: true }, /--remember-token is for --github/],
])('%j is refused', (flags, says) => {
  const error = (() => {
    try {
      return planForges(flags)
    } catch (thrown) {
      return thrown
    }
  })()
  expect(error).toMatchObject({ code: 'usage' })
  const { message, reason } = error as { message: string; reason?: string }
  expect(`${message} ${reason}`).toMatch(says)
})

test('a secret in an address is not shown', () => {
  expect(() => readForges({ gitlab: 'https://hana:tiger@git.example' })).toThrow(
    expect.objectContaining({ message: "--gitlab can't use that address", reason: 'no user or password stands in it' }),
  )
})

test('no forge, no plan', () => {
  expect(planForges({})).toEqual([])
})
