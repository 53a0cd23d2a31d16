import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { jest } from '@jest/globals'
import { generate, isKeytoolError, type PrivateKey, type PublicKey } from '@keytool/keygen'
import { addKeyLine, findLines, formatAuthorizedKey, KnownHosts, removeKeyLines, verifyKeyAlone } from '@keytool/tunnel'
import { openShellWorld, type ShellWorld } from './servers-shell-world.js'
import { temporaryHome } from './world/home.js'
import { newestServers } from './world/newest-sshd.js'

// Files of all kinds, each judged twice: by us, who say which lines let a key in, and by sshd, who does it.

jest.setTimeout(240_000)

const FILES = 30

let world: ShellWorld
let key: PrivateKey
let other: PublicKey

beforeAll(async () => {
  world = await openShellWorld()
  key = await generate('ed25519', { comment: 'mine' })
  other = (await generate('ed25519', { comment: 'other' })).publicKey
})

afterAll(() => world.close())

/** The same numbers each time: xorshift. */
function numbers(seed: number): (below: number) => number {
  let state = seed
  return below => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return Math.abs(state) % below
  }
}

function makeFile(below: (n: number) => number): Buffer {
  const mine = formatAuthorizedKey(key.publicKey)
  const bare = mine.split(' ').slice(0, 2).join(' ')
  const pieces = [
    formatAuthorizedKey(other),
    `cert-authority ${mine}`,
    `# ${mine}`,
    ` \t${mine} more`,
    `no-pty,environment="A=\\"b c\\"" ${bare}`,
    `restrict,pty ${mine}`,
    `No-Such-Option ${mine}`,
    `from="192.0.2.1 ${mine}`,
    `command="x"no-pty ${mine}`,
    `,no-pty,, ${mine}`,
    bare,
    `${bare}=`,
    mine.slice(0, 70),
    `ssh-rsa ${bare.split(' ')[1]}`,
    `\v${mine}`,
    '',
    '\f',
  ]
  const lines = Array.from({ length: 1 + below(5) }, () => `${pieces[below(pieces.length)]}${below(3) ? '\n' : '\r\n'}`)
  return Buffer.from(`${below(6) ? '' : '\ufeff'}${lines.join('')}`.replace(below(3) ? /$^/ : /\r?\n$/, ''))
}

/** The line by which sshd lets the key in, 0 when it does not. */
async function ask(bytes: Buffer): Promise<number> {
  await world.begin(bytes)
  try {
    return (await verifyKeyAlone(world.login(), key)).admittedBy?.line ?? -1
  } catch (error) {
    if (isKeytoolError(error) && error.code === 'secret-wrong') return 0
    throw error
  }
}

test(`${FILES} files: as they are, with the key added, and with it removed`, async () => {
  const below = numbers(8_112_025)
  const seen = { admitted: 0, refused: 0 }
  for (let index = 0; index < FILES; index++) {
    const before = makeFile(below)
    const ours = findLines(before, key.publicKey)[0]?.line ?? 0
    expect([before.toString(), await ask(before)]).toEqual([before.toString(), ours])
    if (ours === 0) {
      seen.refused++
      const after = addKeyLine(before, key.publicKey, below(2) ? 'no-pty' : '')
      expect([after.toString(), await ask(after)]).toEqual([after.toString(), findLines(after, key.publicKey)[0]?.line])
    } else {
      seen.admitted++
      const after = removeKeyLines(before, key.publicKey)
      expect([after.toString(), await ask(after)]).toEqual([after.toString(), 0])
    }
  }
  expect(Math.min(seen.admitted, seen.refused)).toBeGreaterThan(FILES / 5)
})

for (const suite of newestServers()) {
  test(`a newer server says which line it was, too: ${suite.name}`, async () => {
    const lines = [
      formatAuthorizedKey(other),
      `from="192.0.2.1" ${formatAuthorizedKey(key.publicKey)}`,
      formatAuthorizedKey(key.publicKey),
    ]
    const server = await suite.startSshd(lines)
    const home = await temporaryHome()
    try {
      const known = join(home.ssh, 'known_hosts')
      await writeFile(known, server.knownHosts)
      const knownHosts = new KnownHosts({ home: home.path, files: [known], systemFiles: [] })
      const verified = await verifyKeyAlone(
        { host: server.host, port: server.port, user: 'root', hosts: { knownHosts } },
        key,
      )
      expect(verified).toEqual({ admittedBy: { path: expect.stringMatching(/authorized_keys$/), line: 3 } })
    } finally {
      await server.stop()
      await home.dispose()
    }
  })
}
