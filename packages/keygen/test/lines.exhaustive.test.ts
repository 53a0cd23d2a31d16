import { KeytoolError } from '../src/error.js'
import { readAuthorizedKeys } from '../src/formats/lines/authorized-keys.js'
import { readKnownHosts } from '../src/formats/lines/known-hosts.js'
import { inspectKeys } from '../src/inspect.js'
import { effortOf } from './effort.js'

const KEY = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIL9hHq82K+e6NvhCL1SjhOKnRcU5dkM4gw7dfUCumM+z authority'
const BARE = KEY.split(' ').slice(0, 2).join(' ')

const bytes = (text: string): Buffer => Buffer.from(text)

describe('size', () => {
  test('ten MiB of hosts are read in time that grows with them', async () => {
    const line = `${'host.example,'.repeat(10)}last ${BARE}\n`
    const measure = async (size: number) => {
      const file = bytes(line.repeat(Math.ceil(size / line.length)))
      return effortOf(async () => {
        expect(await inspectKeys(file)).toHaveLength(Math.ceil(size / line.length))
      })
    }
    await measure(1 << 17)
    const small = await measure(10 << 17)
    const large = await measure(10 << 20)
    // Eight times as much; what is left is room for a busy machine.
    expect(large).toBeLessThan(40 * small)
    expect(large).toBeLessThan(30_000)
  })

  test.each([
    ['one line of blanks', () => ' '.repeat(8 << 20)],
    ['one word', () => 'x'.repeat(8 << 20)],
    ['digits', () => '1'.repeat(8 << 20)],
    ['a type without an end', () => `ssh-${'a'.repeat(8 << 20)}`],
    ['base64 without an end', () => `ssh-rsa ${'A'.repeat(8 << 20)}`],
    ['an SSH-1 key without an end', () => `1024 35 ${'1'.repeat(8 << 20)}x`],
    ['an SSH-1 key that is all modulus', () => `1024 65537 ${'1'.repeat(8 << 20)}`],
    ['an SSH-1 key that is all exponent', () => `1024 ${'1'.repeat(8 << 20)} ${'1'.repeat(300)}`],
    ['blanks behind a type', () => `ssh-rsa${' '.repeat(8 << 20)}x`],
    ['an option without an end', () => `${'a'.repeat(8 << 20)} ${KEY}`],
    ['quotes', () => '"\\" '.repeat(2 << 20)],
    ['commas', () => `${'no-pty,'.repeat(1 << 20)} ${KEY}`],
    ['hosts', () => `${','.repeat(8 << 20)} ${KEY}`],
    ['empty lines', () => '\n'.repeat(8 << 20)],
  ])('%s, 8 MiB: no line costs more than its length', async (_name, text) => {
    const file = bytes(text())
    const effort = await effortOf(async () => {
      for (const fileName of ['authorized_keys', 'known_hosts', '']) {
        // Whatever it is, no pattern's stack overflowed.
        const trouble = await inspectKeys(file, { fileName }).catch(error => error)
        expect(trouble instanceof KeytoolError || Array.isArray(trouble)).toBe(true)
      }
    })
    expect(effort).toBeLessThan(15_000)
  })

  const bad = [
    'a',
    'ssh-ed25519 AAAA',
    'a AAAAAWE=',
    'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAAA==',
    '|1|a|b a AAAAAWE=',
    '@x',
  ]

  test.each(bad)('bad lines, %j: what is kept of each is small', line => {
    const count = 20_000
    const file = bytes(`${line}\n`.repeat(count))
    const found = [...readAuthorizedKeys(file), ...readKnownHosts(file)]
    expect(found).toHaveLength(2 * count)
    expect(found.every(({ error }) => error instanceof KeytoolError)).toBe(true)
    // With a stack for each of them it would be a kilobyte a line.
    const stacks = new Set(found.map(({ error }) => error)).size * (found[0]?.error?.stack?.length ?? 0)
    expect(stacks).toBeLessThan(count * 150)
  })

  test('bad lines are passed over where only blobs are asked for', async () => {
    const file = bytes(`${'a\n@x\nh ssh-ed25519 AAAA\n|1|a|b a AAAAAWE=\n'.repeat(100_000)}host ${KEY}`)
    const effort = await effortOf(() => {
      const found = readKnownHosts(file, { blobsOnly: true })
      expect(found.map(({ line, hostsText }) => [line, hostsText])).toEqual([[400_001, 'host']])
    })
    expect(effort).toBeLessThan(5_000)
  })

  test('a new unknown type on each line', () => {
    const type = (i: number) => `t${String(i).padStart(5, '0')}`
    const line = (name: string) => `${name} ${Buffer.from(`\0\0\0\x06${name}`, 'latin1').toString('base64')}\n`
    const found = readAuthorizedKeys(bytes(Array.from({ length: 2_000 }, (_, i) => line(type(i))).join('')))
    expect(found.every(({ error }) => error?.code === 'unsupported')).toBe(true)
    expect(found.map(each => each.type)).toEqual(Array.from({ length: 2_000 }, (_, i) => type(i)))
    expect(new Set(found.map(({ error }) => error)).size).toBeLessThan(100)
  })

  test('more lines than any such file has: damaged, not a crash', async () => {
    const file = bytes('a\n'.repeat(1 << 20))
    for (const fileName of ['authorized_keys', 'known_hosts']) {
      const refused = () =>
        expect(inspectKeys(file, { fileName })).rejects.toMatchObject({
          code: 'damaged',
          message: expect.stringContaining('more lines'),
        })
      expect(await effortOf(refused)).toBeLessThan(4_000)
    }
  })
})
