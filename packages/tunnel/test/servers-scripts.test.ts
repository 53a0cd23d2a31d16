import { cksum } from '../src/servers/cksum.js'
import { examineScript, readScript, replaceScript } from '../src/servers/scripts.js'

test.each([
  ['read', readScript],
  ['replace', replaceScript],
  ['examine', examineScript],
])('the script to %s passes through sh, csh and fish alike', (_what, script) => {
  const inner = /^exec sh -c '(.*)'$/.exec(script)?.[1]
  expect(inner).toMatch(/^[\x20-\x26\x28-\x7e]+$/)
  expect(inner).not.toMatch(/!|\\\\/)
})

test.each([
  ['', '4294967295 0'],
  ['a', '1220704766 1'],
  ['123456789', '930766865 9'],
])('cksum of %j', (text, wanted) => {
  expect(cksum(Buffer.from(text))).toBe(wanted)
})
