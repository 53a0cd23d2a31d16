import { execFileSync } from 'node:child_process'
import { shellLines, shellStyle, shellUnsetLines } from '../src/index.js'

// What `ssh-agent -s`, `-c` and `-k` of OpenSSH 9.2 print, with place and number put in.
const SET_SH = `SSH_AUTH_SOCK=/tmp/ssh-fJNkbxtNwnQu/agent.7335; export SSH_AUTH_SOCK;
SSH_AGENT_PID=7336; export SSH_AGENT_PID;
echo Agent pid 7336;
`
const SET_CSH = `setenv SSH_AUTH_SOCK /tmp/ssh-fJNkbxtNwnQu/agent.7335;
setenv SSH_AGENT_PID 7336;
echo Agent pid 7336;
`
const FOREGROUND_SH = `SSH_AUTH_SOCK=/tmp/ssh-fJNkbxtNwnQu/agent.7335; export SSH_AUTH_SOCK;
echo Agent pid 7336;
`
const UNSET_SH = `unset SSH_AUTH_SOCK;
unset SSH_AGENT_PID;
echo Agent pid 7336 killed;
`
const UNSET_CSH = `unsetenv SSH_AUTH_SOCK;
unsetenv SSH_AGENT_PID;
echo Agent pid 7336 killed;
`
const SOCKET = '/tmp/ssh-fJNkbxtNwnQu/agent.7335'

test('the lines are those of ssh-agent', () => {
  expect(shellLines('sh', SOCKET, 7336)).toBe(SET_SH)
  expect(shellLines('csh', SOCKET, 7336)).toBe(SET_CSH)
  expect(shellLines('sh', SOCKET, 7336, true)).toBe(FOREGROUND_SH)
  expect(shellUnsetLines('sh', 7336)).toBe(UNSET_SH)
  expect(shellUnsetLines('csh', 7336)).toBe(UNSET_CSH)
})

test.each([
  ['/bin/bash', 'sh'],
  ['/bin/csh', 'csh'],
  ['/usr/bin/tcsh', 'csh'],
  ['', 'sh'],
  [undefined, 'sh'],
])('SHELL=%s means %s', (shell, style) => {
  expect(shellStyle(shell)).toBe(style)
})

const odd = [
  '/tmp/with space/agent.sock',
  "/tmp/it's/agent.sock",
  '/tmp/$(touch x)`y`;&|<>*?[a]{b}~#/"agent".sock',
  '/tmp/back\\slash/!agent!.sock',
  '/tmp/schlüssel/エージェント.sock',
  '~/agent.sock',
]

test.each(odd)('a shell takes %j as it is', path => {
  const script = `${shellLines('sh', path, 1)}printf %s "$SSH_AUTH_SOCK"`
  expect(execFileSync('/bin/sh', ['-c', script], { encoding: 'utf8' })).toBe(`Agent pid 1\n${path}`)
})

test('csh gets what its history would eat behind a backslash', () => {
  expect(shellLines('csh', "/tmp/it's!", 1)).toContain("setenv SSH_AUTH_SOCK '/tmp/it'\\''s'\\!'';")
})

test('a path with control characters is refused', () => {
  expect(() => shellLines('sh', '/tmp/a\nb', 1)).toThrow(expect.objectContaining({ code: 'usage' }))
})
