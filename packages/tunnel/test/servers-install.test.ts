import { generate, type PublicKey } from '@keytool/keygen'
import { addKeyLine, formatAuthorizedKey } from '../src/servers/authorized-keys.js'
import { changeKeyFile } from '../src/servers/change.js'
import { installPublicKey } from '../src/servers/install.js'
import { removePublicKey } from '../src/servers/remove.js'
import { FakeKeyFile } from './servers-fakes.js'

const path = '~/.ssh/authorized_keys'
const options = 'restrict,from="192.0.2.*"'
let key: PublicKey
let other: PublicKey
let line: string

beforeAll(async () => {
  key = (await generate('ed25519', { comment: 'hana@laptop' })).publicKey
  other = (await generate('ed25519', { comment: 'other' })).publicKey
  line = formatAuthorizedKey(key)
})

describe('installing', () => {
  test('adds one line, once', async () => {
    const file = new FakeKeyFile('# mine\n')
    expect(await installPublicKey(file, key, { dryRun: true })).toEqual({ state: 'would-add', path })
    expect(file.writes).toBe(0)
    expect(await installPublicKey(file, key)).toEqual({ state: 'added', path, line: 2 })
    expect(await installPublicKey(file, key)).toEqual({ state: 'present', path, line: 2 })
    expect(file.bytes.toString()).toBe(`# mine\n${line}\n`)
    expect(file.writes).toBe(1)
  })

  test.each([
    ['without options asked for', () => `no-pty ${line}`, {}],
    ['with the same ones, in another order', () => `from="192.0.2.*",restrict ${line}`, { options }],
  ])('a key that is there already is present: %s', async (_what, content, asked) => {
    const file = new FakeKeyFile(content())
    expect(await installPublicKey(file, key, asked)).toMatchObject({ state: 'present', line: 1 })
    expect(file.writes).toBe(0)
  })

  test.each([
    ['without any', () => line, 'without options', 1],
    ['with others', () => `no-pty ${line}`, 'with no-pty', 1],
    ['with others further down', () => `${options} ${line}\n${line}\n`, 'without options', 2],
  ])('… and refused when options are asked for, and it is there %s', async (_what, content, there, number) => {
    const file = new FakeKeyFile(content())
    for (const dryRun of [false, true]) {
      await expect(installPublicKey(file, key, { options, dryRun })).rejects.toMatchObject({
        code: 'refused',
        message: `the key is there already, but ${there}: ~/.ssh/authorized_keys line ${number}`,
        reason: `asked for ${options}; nothing was changed`,
      })
    }
    expect(file.writes).toBe(0)
  })

  test('options that sshd would not take reach no server', async () => {
    const file = new FakeKeyFile()
    await expect(installPublicKey(file, key, { options: 'nope' })).rejects.toMatchObject({ code: 'usage' })
  })

  test.each([
    ['UTF-16', () => Buffer.from(`\ufeff${line}\n`, 'utf16le')],
    ['NUL bytes', () => Buffer.from(`${line}\0\n`)],
  ])('%s is left as it is, with what to do', async (_what, content) => {
    const file = new FakeKeyFile(content())
    for (const work of [installPublicKey, removePublicKey]) {
      await expect(work(file, key)).rejects.toMatchObject({ code: 'damaged', hint: expect.stringContaining('UTF-8') })
    }
    expect(file.bytes).toEqual(content())
  })

  test('a file that somebody else sets back at once is told', async () => {
    const file = new FakeKeyFile()
    file.read = async () => Buffer.alloc(0)
    await expect(installPublicKey(file, key)).rejects.toMatchObject({ code: 'failed' })
  })
})

describe('removing', () => {
  test('takes all lines of the key, and says which', async () => {
    const file = new FakeKeyFile(`${line}\n# kept\r\nno-pty ${line} again\r\ncert-authority ${line}`)
    expect(await removePublicKey(file, key, { dryRun: true })).toEqual({ state: 'would-remove', path, lines: [1, 3] })
    expect(file.writes).toBe(0)
    expect(await removePublicKey(file, key)).toEqual({ state: 'removed', path, lines: [1, 3] })
    expect(file.bytes.toString()).toBe(`# kept\r\ncert-authority ${line}`)
    expect(await removePublicKey(file, key)).toEqual({ state: 'absent', path, lines: [] })
    expect(file.writes).toBe(1)
  })
})

describe('two writers', () => {
  test('what another one added meanwhile stays', async () => {
    const file = new FakeKeyFile('# mine\n')
    let left = 3
    file.meanwhile = () => {
      if (left-- > 0) file.bytes = Buffer.concat([file.bytes, Buffer.from(`# ${left}\n`)])
    }
    const pauses: number[] = []
    const after = await changeKeyFile(file, bytes => addKeyLine(bytes, key), {
      pause: async milliseconds => pauses.push(milliseconds),
      random: () => 0.5,
    })
    expect(after.toString()).toBe(`# mine\n# 2\n# 1\n# 0\n${line}\n`)
    expect(pauses).toEqual([50, 100, 200])
  })

  test('one that never stops is given up on', async () => {
    const file = new FakeKeyFile()
    file.meanwhile = () => {
      file.bytes = Buffer.concat([file.bytes, Buffer.from('#\n')])
    }
    const pause = async () => {}
    await expect(changeKeyFile(file, bytes => addKeyLine(bytes, key), { pause })).rejects.toMatchObject({
      code: 'failed',
      reason: expect.stringContaining('nothing of ours was written'),
    })
    expect(file.writes).toBe(0)
  })

  test('one that removes the key while another adds one', async () => {
    const file = new FakeKeyFile(`${line}\n`)
    let isFirst = true
    file.meanwhile = () => {
      if (isFirst) file.bytes = addKeyLine(file.bytes, other)
      isFirst = false
    }
    expect(await removePublicKey(file, key)).toMatchObject({ state: 'removed' })
    expect(file.bytes.toString()).toBe(`${formatAuthorizedKey(other)}\n`)
  })
})
