import { readFile } from 'node:fs/promises'
import { columns, count, shortenPath } from '../src/text.js'
import { version } from '../src/version.js'

test('the version is that of the package', async () => {
  const { version: published } = JSON.parse(await readFile(new URL('../package.json', import.meta.url), 'utf8'))
  expect(version).toBe(published)
})

test('columns line up, without blanks at the end', () => {
  expect(
    columns([
      ['a', 'b'],
      ['long', '', ''],
      ['x', 'yy', 'z'],
    ]),
  ).toEqual(['a     b', 'long', 'x     yy  z'])
})

test('one is one, others are many', () => {
  expect([count(0, 'key'), count(1, 'key'), count(2, 'key')]).toEqual(['0 keys', '1 key', '2 keys'])
})

test.each([
  ['/home/hana/.ssh/id', '~/.ssh/id'],
  ['/home/hana', '~'],
  ['/home/hanako/.ssh', '/home/hanako/.ssh'],
  ['known (/home/hana/a) and /home/hana/b: x', 'known (~/a) and ~/b: x'],
  ['/mnt/home/hana/x', '/mnt/home/hana/x'],
])('%s is shown as %s', (path, shown) => {
  expect(shortenPath(path, '/home/hana')).toBe(shown)
})
