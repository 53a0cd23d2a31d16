import { readFile, writeFile } from 'node:fs/promises'
import { algorithms } from '../../packages/keygen/src/algorithms/table.js'
import { isKeytoolError } from '../../packages/keygen/src/error.js'
import type { PublicFormat } from '../../packages/keygen/src/formats/format.js'
import { keyFormats, publicFormats } from '../../packages/keygen/src/formats/registry.js'
import type { OurFile, Ours } from './ours.js'
import { type Section, table } from './section.js'

const NOT_TRIED = 'not tried here'
const path = new URL('../../docs/formats.md', import.meta.url)

const beginning = `# Key formats

Written by \`test/formats-matrix.test.ts\`. It puts a key of every type into every format, with every cipher, in the clear,
with an ASCII and with a UTF-8 passphrase, gives the files to the programs of others, has those write files of their own,
and compares all parts of the keys. Every test run compares this page with what it finds, so that what is lost makes it
fail. \`KEYTOOL_WRITE_DOCS=1 npm test formats-matrix\` writes the page anew. \`scripts/newest-peers\` fetches the newer
programs: \`./scripts/test\` those of trixie; sid's, which move on, are tried where somebody has fetched them.
\`test/formats-matrix-chain.test.ts\` goes from every format over every other and back: the same bytes again.
`

const legend = `## How the tables are read

One section for each program that files were exchanged with, under the version it says of itself.

| | |
|---|---|
| ⇄ | the program reads what keytool writes, and keytool reads what it writes |
| → | the program reads what keytool writes |
| ← | keytool reads what the program writes |
| = | both write the same bytes; nobody reads them back |
| – | the program does not have it |
| · | keytool does not have it |

Reading is proved by the public key the program shows, and by the private key it writes anew; writing by what keytool
reads. A mark stands for files in the clear. Below stand the KDFs and ciphers that went over, with both kinds of
passphrase; what the program refused; whether the comment came along. *The same bytes*: for the key it has read, keytool
writes the very file. In the clear OpenSSH's format has one random number, which is left out of that comparison; encrypted
files have random salts or padding and can't be compared, but for PuTTY's version 2.

- *Not tried here*: no program here writes it. Other tests read files that openssl made, and files made by hand.
- PuTTY writes the number of an ECDSA key into PEM files without the zeros in front, or with one too many (RFC 5915
  section 3 fixes the length). keytool reads those, and writes as OpenSSL and OpenSSH do. They are tested apart; the keys
  of the tables are others.
- Of a key in a token (\`ed25519-sk\`, \`ecdsa-sk\`) the file holds a handle. No token is needed to convert it.
- An RFC 4716 file is only a frame: PuTTY passes on what is in it, types it does not know included.
`

/** What comes before the peers: from the registry, and from the files keytool wrote. */
export async function makeIntroduction(ours: Ours): Promise<string> {
  const filesOf = (kind: OurFile['kind'], name: string) =>
    ours.files.filter(file => file.kind === kind && file.format === name)
  const recognised = keyFormats.filter(row => !algorithms.some(each => row.holds(each))).map(({ name }) => name)
  const privateRows = keyFormats.map(({ name, title, option, ciphers, keepsComment }) => {
    if (recognised.includes(name)) return [title, 'only recognised', '', '', '', '']
    if (!option) return [title, 'only read', NOT_TRIED, '', '', keepsComment ? 'kept' : 'lost']
    const files = filesOf('private', name)
    const kdfs = [...new Set(files.flatMap(({ kdf }) => (kdf === undefined ? [] : [kdf])))]
    const protection = [ciphers.join(', ') || 'none', kdfs.join(', ')]
    return [title, `\`${option}\``, typesOf(files), ...protection, keepsComment ? 'kept' : 'lost']
  })
  const publicRows: string[][] = []
  for (const format of publicFormats.filter(({ name }) => !recognised.includes(name))) {
    const files = filesOf('public', format.name)
    const ways = [format.write ? `\`${format.name}\`` : 'only read', (await isRead(format, files)) ? 'yes' : 'no']
    publicRows.push([format.title, ...ways, format.write ? typesOf(files) : NOT_TRIED])
  }
  return [
    beginning,
    '## What keytool has\n',
    table(['Private keys', '`convert --to`', 'Types', 'Ciphers, the default first', 'KDF', 'Comment'], privateRows),
    '',
    table(['Public keys', '`public --format`', 'Read', 'Types'], publicRows),
    '',
    legend,
  ].join('\n')
}

/** Whether what was written is read; a format that is not written is there to be read. */
async function isRead(format: PublicFormat, [file]: readonly OurFile[]): Promise<boolean> {
  if (!file) return true
  try {
    await format.read(file.bytes)
    return true
  } catch (error) {
    if (isKeytoolError(error) && error.code === 'unsupported') return false
    throw error
  }
}

function typesOf(files: readonly OurFile[]): string {
  const held = algorithms.filter(row => files.some(({ type }) => type === row.type))
  return held.length === algorithms.length ? 'all' : held.map(({ type }) => type).join(', ')
}

/** The page as it is committed: the part before the peers, and the peers' parts. */
export async function readPage(): Promise<{ introduction: string; sections: Section[] }> {
  const [introduction = '', ...rest] = (await readFile(path, 'utf8').catch(() => '')).split(/^(?=## .* in Debian )/m)
  const sections = rest.map(text => {
    const end = text.indexOf('\n')
    return { heading: text.slice('## '.length, end), body: text.slice(end).trim() }
  })
  return { introduction, sections }
}

/** Puts the sections in their places; those of peers that are not here stay as they were. */
export async function writePage(introduction: string, found: readonly Section[]): Promise<void> {
  const { sections } = await readPage()
  const merged = [...sections]
  for (const section of found) {
    const index = merged.findIndex(({ heading }) => placeOf(heading) === placeOf(section.heading))
    merged.splice(index < 0 ? merged.length : index, index < 0 ? 0 : 1, section)
  }
  const texts = merged.map(({ heading, body }) => `## ${heading}\n\n${body}\n`)
  await writeFile(path, [introduction, ...texts].join('\n'))
}

export function headingOf(title: string, version: string, suite: string): string {
  return `${title} ${version} in Debian ${suite}`
}

/** Which section is meant, whatever the version. */
function placeOf(heading: string): string {
  return heading.replace(/ \S+ in /, ' in ')
}

/** What the page says of this version; or, where a suite has moved on, of the version it had. */
export function findSection(sections: readonly Section[], heading: string): Section | undefined {
  const versionOf = (text: string) => text.replace(/ in Debian .*/, '')
  return (
    sections.find(section => versionOf(section.heading) === versionOf(heading)) ??
    sections.find(section => placeOf(section.heading) === placeOf(heading))
  )
}
