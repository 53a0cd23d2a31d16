import { existsSync } from 'node:fs'
import { chmod, link, mkdir, readdir, readFile, rename, rm, stat, symlink, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { generate, keyFormats, type PrivateKey } from '@keytool/keygen'
import { createSurvivors, type SealedSurvivor, type SurvivorsOptions } from '../src/ring/survivors.js'
import { giveAway, makeTemporary, until } from './support.js'

const openssh = keyFormats.find(({ name }) => name === 'openssh')

async function encode(key: PrivateKey, passphrase?: string): Promise<Buffer> {
  const options = passphrase ? { passphrase: Buffer.from(passphrase), rounds: 1 } : {}
  return Buffer.from((await openssh?.write?.(key, options)) ?? [])
}

async function makeSealed(name: string): Promise<SealedSurvivor> {
  const file = await encode(await generate('ed25519', { comment: name }), 'secret')
  return { fingerprint: `SHA256:${name}`, comment: name, file, terms: Buffer.from([0, 1, 255]) }
}

async function prepare(options: Partial<SurvivorsOptions> = {}) {
  const path = join(await makeTemporary(), 'agent.keys')
  const troubles: string[] = []
  const make = () => createSurvivors({ path, delay: 20, onTrouble: text => troubles.push(text), ...options })
  return { path, troubles, survivors: make(), make }
}

describe('what was saved', () => {
  test('comes back after a crash: sealed keys whole, open ones by name', async () => {
    const { path, survivors, make, troubles } = await prepare()
    const sealed = [await makeSealed('one'), { ...(await makeSealed('two')), expires: 5000 }]
    const open = { fingerprint: 'SHA256:o', comment: 'open \u202e "one"\n' }
    survivors.save([...sealed, open])
    await survivors.flush()
    expect((await stat(path)).mode & 0o777).toBe(0o600)
    expect(await readdir(join(path, '..'))).toEqual(['agent.keys'])
    expect(await createSurvivors({ path, now: () => 4999 }).load()).toEqual({ sealed, lost: [open] })
    // Loading takes nothing away: whoever crashes again finds it again.
    expect(await createSurvivors({ path, now: () => 5000 }).load()).toEqual({ sealed: [sealed[0]], lost: [open] })
    expect((await make().load()).sealed).toHaveLength(1)
    expect(troubles).toEqual([])
  })

  test('is on disk by itself, soon, and once for many changes', async () => {
    const { path, survivors, make } = await prepare()
    for (let i = 0; i < 100; i++) survivors.save([{ fingerprint: `${i}`, comment: '' }])
    await expect(stat(path)).rejects.toMatchObject({ code: 'ENOENT' })
    await until(() => existsSync(path))
    expect((await make().load()).lost).toEqual([{ fingerprint: '99', comment: '' }])
    const { ino } = await stat(path)
    await survivors.flush()
    expect((await stat(path)).ino).toBe(ino)
  })

  test('steady changes do not put it off', async () => {
    const { path, survivors } = await prepare()
    const timer = setInterval(() => survivors.save([{ fingerprint: 'f', comment: '' }]), 5)
    await until(() => existsSync(path)).finally(() => clearInterval(timer))
    expect((await stat(path)).size).toBeGreaterThan(0)
    await survivors.clear()
  })

  test('is nothing where no key is held, and nothing after a clean end', async () => {
    const { path, survivors, make } = await prepare()
    const keys = [{ fingerprint: 'f', comment: '' }]
    survivors.save(keys)
    await survivors.flush()
    survivors.save([])
    await survivors.flush()
    await expect(stat(path)).rejects.toMatchObject({ code: 'ENOENT' })
    survivors.save(keys)
    void survivors.flush()
    await survivors.clear()
    survivors.save(keys)
    await survivors.flush()
    await expect(stat(path)).rejects.toMatchObject({ code: 'ENOENT' })
    expect(await make().load()).toEqual({ sealed: [], lost: [] })
  })

  test('is never a key in the clear, whatever it is called', async () => {
    const { path, survivors, make } = await prepare()
    const plain = await encode(await generate('ed25519'))
    const sealed = await makeSealed('s')
    const files = [plain, Buffer.alloc(0), Buffer.from('no key'), sealed.file.subarray(0, 200)]
    survivors.save(files.map((file, i) => ({ ...sealed, file, fingerprint: `${i}` })))
    await survivors.flush()
    const text = await readFile(path, 'utf8')
    for (const word of ['file', 'terms', plain.toString('base64').slice(0, 40)]) expect(text).not.toContain(word)
    expect(await make().load()).toEqual({
      sealed: [],
      lost: files.map((_, i) => ({ fingerprint: `${i}`, comment: 's' })),
    })
  })

  test('has bounds: what does not fit in is kept by name, and that is told', async () => {
    const { path, survivors, make, troubles } = await prepare()
    const sealed = await makeSealed('s')
    const large = { ...sealed, terms: Buffer.alloc(3 * 1024 * 1024, 1) }
    survivors.save([large, large, sealed])
    await survivors.flush()
    expect((await stat(path)).size).toBeLessThan(8 * 1024 * 1024)
    const { sealed: restored, lost } = await make().load()
    expect([restored.length, lost.length]).toEqual([2, 1])
    expect(troubles).toEqual([expect.stringContaining('1 of 3')])
  })

  test('that it can not be written is told, and the next time is tried again', async () => {
    const folder = join(await makeTemporary(), 'f')
    const { survivors, make, troubles } = await prepare({ path: join(folder, 'keys') })
    await writeFile(folder, '')
    survivors.save([{ fingerprint: 'f', comment: '' }])
    await survivors.flush()
    expect(troubles).toEqual([expect.stringContaining('a crash would lose the keys')])
    await rm(folder)
    survivors.save([{ fingerprint: 'f', comment: '' }])
    await survivors.flush()
    expect((await make().load()).lost).toHaveLength(1)
  })
})

describe('what is refused', () => {
  const none = { sealed: [], lost: [] }

  /** A good file, of which something is made. */
  async function prepareFile() {
    const prepared = await prepare()
    prepared.survivors.save([await makeSealed('s')])
    await prepared.survivors.flush()
    return prepared
  }

  test.each<[string, (path: string) => Promise<unknown>, string]>([
    ['a link', async path => rename(path, `${path}.x`).then(() => symlink(`${path}.x`, path)), 'link'],
    ["another user's", giveAway, 'another user'],
    ['one that others can read', async path => chmod(path, 0o640), 'others'],
    ['a folder', async path => rm(path).then(() => mkdir(path)), 'no plain file'],
    ['a large one', async path => truncate(path, 8 * 1024 * 1024 + 1), 'larger'],
    ['one cut short', async path => truncate(path, 300), 'no JSON'],
    ['an empty one', async path => truncate(path, 0), 'no JSON'],
    ['noise', async path => writeFile(path, Buffer.alloc(5000, 0xc3)), 'no JSON'],
    ['null', async path => writeFile(path, 'null'), 'version'],
    ['another version', async path => writeFile(path, '{"version":2,"keys":[]}'), 'version'],
    ['no list', async path => writeFile(path, '{"version":1,"keys":{"length":1}}'), 'lists no keys'],
    ['a list of what are no keys', async path => writeFile(path, '{"version":1,"keys":[null]}'), 'lists no keys'],
    ['base64 that is none', async path => edit(path, /"file":"../, '"file":"*'), 'lists no keys'],
    ['a file without terms', async path => edit(path, /,"terms":"[^"]*"/, ''), 'lists no keys'],
    ['terms without a file', async path => edit(path, /"file":"[^"]*",/, ''), 'lists no keys'],
    ['a time that is none', async path => edit(path, /"comment"/, '"expires":"soon","comment"'), 'lists no keys'],
    ['no fingerprint', async path => edit(path, /"fingerprint":"[^"]*",/, ''), 'lists no keys'],
  ])('%s: nothing is restored, and it is told', async (_, spoil, trouble) => {
    const { path, make } = await prepareFile()
    expect((await make().load()).sealed).toHaveLength(1)
    await spoil(path)
    expect(await make().load()).toEqual({ ...none, trouble: expect.stringContaining(trouble) })
  })

  async function edit(path: string, what: RegExp, by: string): Promise<void> {
    const text = await readFile(path, 'utf8')
    expect(text).toMatch(what)
    await writeFile(path, text.replace(what, by))
  }

  test('nothing there is no trouble', async () => {
    const { make } = await prepare()
    expect(await make().load()).toEqual(none)
  })

  test('a name that others share with it is left alone when it is written anew', async () => {
    const { path, survivors } = await prepareFile()
    await link(path, `${path}.other`)
    survivors.save([{ fingerprint: 'f', comment: '' }])
    await survivors.flush()
    expect(await readFile(`${path}.other`, 'utf8')).toContain('"file"')
    expect(await readFile(path, 'utf8')).not.toContain('"file"')
  })
})
