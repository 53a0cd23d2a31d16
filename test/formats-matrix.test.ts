import { jest } from '@jest/globals'
import { openssh } from '../packages/keygen/src/formats/openssh.js'
import { pem } from '../packages/keygen/src/formats/pem/pem.js'
import type { PrivateKey } from '../packages/keygen/src/key.js'
import { sampleKey } from '../packages/keygen/test/sample-keys.js'
import { marksOf } from './formats-matrix/cells.js'
import { explore } from './formats-matrix/explore.js'
import { type Ours, oddityOf, writeAll } from './formats-matrix/ours.js'
import { findSection, headingOf, makeIntroduction, readPage, writePage } from './formats-matrix/page.js'
import { Desk, type FormatPeer } from './formats-matrix/peer.js'
import { openPuttygen } from './formats-matrix/puttygen.js'
import { differingParts } from './formats-matrix/same.js'
import { makeSection, type Section } from './formats-matrix/section.js'
import { openSshKeygen } from './formats-matrix/ssh-keygen.js'
import { isRefusal, type Trial } from './formats-matrix/trial.js'
import { newestSuites, ownSuite } from './world/newest.js'

// Every type, format, cipher and kind of passphrase, there and back with the programs of others; docs/formats.md says what
// came of it. What is tried follows from the registry and the table of algorithms: a new row is tried by itself.

jest.setTimeout(600_000)

/** Instead of comparing the page with what is found, writes it. */
const writesPage = process.env['KEYTOOL_WRITE_DOCS'] === '1'

const peers = [ownSuite(), ...newestSuites()].flatMap(suite => [
  { title: 'OpenSSH', name: suite.name, suite, open: openSshKeygen },
  { title: 'PuTTY', name: suite.name, suite, open: openPuttygen },
])

let ours: Ours
const found: Section[] = []

beforeAll(async () => {
  ours = await writeAll()
})

describe.each(peers)('$title in Debian $name', ({ title, suite, open }) => {
  let desk: Desk
  let peer: FormatPeer
  let trials: readonly Trial[]
  let section: Section

  beforeAll(async () => {
    desk = await Desk.open(suite)
    peer = await open(desk)
    trials = await explore(peer, ours)
    section = makeSection(headingOf(title, peer.version, suite.name), trials, marksOf(ours))
    found.push(section)
  })
  afterAll(() => desk?.close())

  test('whatever goes over is the same key', () => {
    expect(trials.filter(({ outcome }) => outcome.is === 'done').length).toBeGreaterThan(100)
    expect(trials.filter(({ outcome }) => outcome.is === 'wrong')).toEqual([])
  })

  test('what goes over is what docs/formats.md says', async () => {
    if (writesPage) await writePage(await makeIntroduction(ours), found)
    const committed = findSection((await readPage()).sections, section.heading)
    // Why the peer refused what it did is shown where something differs.
    const isAsSaid = committed?.body === section.body
    expect({ text: section.body.split('\n'), refused: isAsSaid ? [] : listRefusals(trials) }).toEqual({
      text: committed?.body.split('\n'),
      refused: [],
    })
  })

  if (title === 'PuTTY') {
    test.each(['short', 'long'] as const)('an ECDSA number that PuTTY writes too %s, both ways', async oddity => {
      const key = await oddKey(oddity)
      const saving = peer.savings.find(({ args, secret }) => args.includes('private-openssh') && secret === 'none')
      if (!saving) throw new Error('no way to save PEM')
      const theirs = await peer.save(await openssh.write(key), saving)
      if (isRefusal(theirs)) throw new Error(theirs.refused)
      expect(differingParts(await pem.read(theirs), key)).toEqual([])
      const written = await pem.write(key)
      expect(theirs.equals(written)).toBe(false)
      const opened = await peer.open(written, 'none')
      expect(isRefusal(opened) ? opened.refused : opened.line.equals(key.publicKey)).toBe(true)
    })
  }
})

describe('docs/formats.md', () => {
  test('says what the registry has', async () => {
    expect((await readPage()).introduction.trim()).toBe((await makeIntroduction(ours)).trim())
  })

  test('has a section for each suite and program', async () => {
    const headings = (await readPage()).sections.map(({ heading }) => heading)
    expect(headings.map(heading => heading.replace(/ \S+ in Debian /, ' '))).toEqual(
      ['bookworm', 'trixie', 'sid'].flatMap(suite => [`OpenSSH ${suite}`, `PuTTY ${suite}`]),
    )
  })
})

/** Each reason once, with the types it was given for. */
function listRefusals(trials: readonly Trial[]): string[] {
  const types = new Map<string, Set<string>>()
  for (const { kind, peer, type, format, cipher = 'in the clear', outcome } of trials) {
    if (outcome.is !== 'refused') continue
    const words = `${peer} ${kind} ${format}, ${cipher}: ${outcome.why}`
    types.set(words, (types.get(words) ?? new Set()).add(type))
  }
  return [...types].map(([words, names]) => `${words} (${[...names].join(', ')})`)
}

/** Half the keys of P-256 are long, and half of P-521 short. */
async function oddKey(oddity: 'short' | 'long'): Promise<PrivateKey> {
  for (let tries = 0; tries < 100; tries++) {
    const key = await sampleKey(oddity === 'short' ? 'ecdsa-521' : 'ecdsa-256')
    if (oddityOf(key) === oddity) return key
  }
  throw new Error(`no ${oddity} key`)
}
