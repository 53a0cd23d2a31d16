import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Context } from '../src/context.js'
import { sweepBeside } from '../src/setup/leftovers.js'
import { factsAfter, factsBefore, putBack, sumOf, withoutAddedEnd } from '../src/setup/original.js'
import { listRecords, RecordFile, readRecord, recordPath } from '../src/setup/record.js'

let folder: string
let context: Context

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'keytool-setup-'))
  context = { places: { state: folder } } as Context
})
afterEach(() => rm(folder, { recursive: true }))

const record = {
  version: 1 as const,
  name: 'mail',
  host: 'mail.example',
  port: 229,
  user: 'hana',
  folders: ['/home/hana/.ssh'],
  traces: [],
  steps: {},
}

describe('the record of a setup', () => {
  test('is written whole at each note, and read back', async () => {
    const file = new RecordFile(recordPath('mail', context), record)
    await file.note('key', { state: 'begun', facts: { path: '/k', stored: true } })
    expect((await readRecord('mail', context))?.madeBy('key')).toEqual({
      state: 'begun',
      facts: { path: '/k', stored: true },
    })
    await file.note('key', undefined)
    await file.change({ mail: true })
    const [read, ...others] = await listRecords(context)
    expect(read?.value).toEqual({ ...record, mail: true })
    expect(others).toEqual([])
    await file.remove()
    expect(await readRecord('mail', context)).toBeUndefined()
  })

  test.each([
    ['no JSON', '{', 'damaged'],
    ['no object', '[]', 'damaged'],
    ['no version', JSON.stringify({ ...record, version: undefined }), 'damaged'],
    ['a newer version', JSON.stringify({ ...record, version: 2 }), 'unsupported'],
    ['no server', JSON.stringify({ ...record, host: 7 }), 'damaged'],
    ['a host that is an option', JSON.stringify({ ...record, host: '-oProxyCommand=x' }), 'damaged'],
    ['a name that is a path', JSON.stringify({ ...record, name: '../mail' }), 'damaged'],
    ['no port', JSON.stringify({ ...record, port: 0 }), 'damaged'],
    ['folders that are none', JSON.stringify({ ...record, folders: [1] }), 'damaged'],
    ['a step without facts', JSON.stringify({ ...record, steps: { key: { state: 'done' } } }), 'damaged'],
    [
      'a fact that is an object',
      JSON.stringify({ ...record, steps: { key: { state: 'done', facts: { a: {} } } } }),
      'damaged',
    ],
    ['a state of its own', JSON.stringify({ ...record, steps: { key: { state: 'half', facts: {} } } }), 'damaged'],
  ])('with %s is not taken for one', async (_, text, code) => {
    await new RecordFile(recordPath('mail', context), record).change({})
    await writeFile(recordPath('mail', context), text)
    await expect(readRecord('mail', context)).rejects.toMatchObject({ code })
  })
})

describe('a file that was changed', () => {
  const path = () => join(folder, 'file')

  test('is put back as long as nobody has changed it since', async () => {
    await writeFile(path(), 'before')
    const facts = await factsBefore(path())
    await writeFile(path(), 'after')
    const made = { state: 'done' as const, facts: await factsAfter(facts) }
    await writeFile(path(), 'somebody’s')
    expect(await putBack(path(), made)).toBe('changed')
    expect(await readFile(path(), 'utf8')).toBe('somebody’s')
    await writeFile(path(), 'after')
    expect(await putBack(path(), made)).toBe('back')
    expect(await readFile(path(), 'utf8')).toBe('before')
    expect(await putBack(path(), made)).toBe('back')
  })

  test('is no other than the record says', async () => {
    await writeFile(path(), 'after')
    const made = { state: 'done' as const, facts: { path: '/etc/passwd', now: '' } }
    await expect(putBack(path(), made)).rejects.toMatchObject({ code: 'damaged' })
  })

  test('goes where there was none; one that is gone already is no trouble, but a lost one is none of ours', async () => {
    const none = await factsBefore(path())
    await writeFile(path(), 'after')
    const made = { state: 'done' as const, facts: await factsAfter(none) }
    expect(await putBack(path(), made)).toBe('back')
    await expect(readFile(path())).rejects.toMatchObject({ code: 'ENOENT' })
    expect(await putBack(path(), made)).toBe('back')
    expect(await putBack(path(), { ...made, facts: { ...made.facts, was: 'eA==' } })).toBe('changed')
  })

  test('loses the line end that was added to its last line, and no other', () => {
    const made = { state: 'done' as const, facts: { ...sumOf(Buffer.from('one\ntwo')) } }
    const after = (text: string) => withoutAddedEnd(Buffer.from(text), made).toString()
    expect(after('one\ntwo\n')).toBe('one\ntwo')
    expect(after('one\ntwo\r\n')).toBe('one\ntwo')
    expect(after('one\ntwo')).toBe('one\ntwo')
    expect(after('one\ntwi\n')).toBe('one\ntwi\n')
    expect(after('one\ntwo\n\n')).toBe('one\ntwo\n\n')
    expect(withoutAddedEnd(Buffer.from('x\n'), { state: 'done', facts: {} }).toString()).toBe('x\n')
  })

  test('what a writer left beside it is swept away, and nothing else', async () => {
    const names = [
      '.file.0123456789ab.tmp',
      '.file.0123456789ab.tmp.bak',
      '.file.xyz.tmp',
      '.files.0123456789ab.tmp',
      'file',
    ]
    for (const name of names) await writeFile(join(folder, name), '')
    await sweepBeside(path())
    const left = await Promise.all(
      names.map(name =>
        readFile(join(folder, name)).then(
          () => name,
          () => undefined,
        ),
      ),
    )
    expect(left.filter(Boolean)).toEqual(names.slice(1))
  })
})
