import { readInventory } from '../src/fleet/inventory/read.js'

// What a file of hosts says, where no other program says it: lists, ways, refusals. Beside Ansible's own: test/inventory.

const read = (text: string | Buffer, name = 'hosts') => readInventory(Buffer.from(text), name)
const one = async (text: string, name?: string) => (await read(text, name))[0]

describe('a plain list', () => {
  test('has a host a line, by any spelling, each once', async () => {
    const text = [
      '# the fleet',
      'web1',
      '  hana@web2  # behind blanks',
      'web3:2222',
      'hana@web4:22',
      'ssh://ops@web5:2200',
      '2001:db8::1',
      '[2001:db8::2]:23',
      'DOM\\hana@web6',
      '',
      'web1',
    ].join('\r\n')
    expect(await read(text)).toEqual([
      { word: 'web1', line: 2 },
      { word: 'hana@web2', user: 'hana', host: 'web2', line: 3 },
      { word: 'web3:2222', host: 'web3', port: 2222, line: 4 },
      { word: 'hana@web4:22', user: 'hana', host: 'web4', port: 22, line: 5 },
      { word: 'ssh://ops@web5:2200', user: 'ops', host: 'web5', port: 2200, line: 6 },
      { word: '2001:db8::1', line: 7 },
      { word: '[2001:db8::2]:23', host: '2001:db8::2', port: 23, line: 8 },
      { word: 'DOM\\hana@web6', user: 'DOM\\hana', host: 'web6', line: 9 },
    ])
  })

  test.each([
    ['two hosts on a line', 'a\nb c', 'hosts line 2: "b c" is no host: one host a line'],
    [
      'an option of ssh',
      '-oProxyCommand=x',
      'hosts line 1: "-oProxyCommand=x" is no host: a host does not begin with -',
    ],
    ['an option behind a user', 'a@-oProxyCommand=x', /line 1: .* is no host/],
    ['a shell’s words', '$(reboot)', /line 1: .* is no host/],
    ['a quote', 'a"b', /line 1: .* is no host/],
    ['a port that is none', 'a:70000', /line 1: .* a port is a number from 1 to 65535/],
    ['an escape', 'a\u001b[2J', /line 1: "a\\+u\{1b\}\[2J" is no host/],
    ['marks that turn text', 'a\u202eb', /line 1: "a\\+u\{202e\}b" is no host/],
  ])('is refused as a whole for %s', async (_what, text, message) => {
    await expect(read(text)).rejects.toMatchObject({
      code: 'damaged',
      message: typeof message === 'string' ? message : expect.stringMatching(message),
      reason: 'no host was taken from it',
    })
  })
})

describe('a file that is none', () => {
  const tooLong = `${'a'.repeat(99)}\n`.repeat(11_000)
  test.each<[string, string | Buffer, string, object]>([
    ['UTF-16', Buffer.from('\ufeffweb1\n', 'utf16le'), 'hosts', { code: 'unsupported', hint: 'save it as UTF-8' }],
    ['no UTF-8', Buffer.from([0x77, 0xff, 0x0a]), 'hosts', { code: 'damaged' }],
    ['NUL bytes', Buffer.from('a\0b'), 'hosts', { code: 'damaged' }],
    ['over 1 MiB', tooLong, 'hosts', { code: 'damaged', message: expect.stringMatching(/larger than 1048576 bytes/) }],
    ['a program', '#!/bin/sh\necho\n', 'inventory', { code: 'unsupported', message: 'inventory is a program' }],
    ['TOML', '[web.hosts]\na = {}\n', 'hosts.toml', { code: 'unsupported' }],
    [
      'a plugin’s settings',
      'plugin: aws_ec2\n',
      'aws.yml',
      { code: 'unsupported', hint: expect.stringMatching(/^ansible-inventory/) },
    ],
    ['empty YAML', '# nothing\n', 'hosts.yml', { code: 'damaged' }],
    [
      'a YAML list',
      '- a\n- b\n',
      'hosts.yml',
      { code: 'damaged', message: 'hosts.yml line 1: it is no map of groups' },
    ],
    [
      'broken YAML',
      'all:\n  hosts:\n    a: [\n',
      'hosts.yml',
      { code: 'damaged', message: expect.stringMatching(/^hosts.yml line \d: it is no YAML/) },
    ],
    [
      'a range of a million',
      '[a]\nweb[1:1000000]\n',
      'hosts',
      { code: 'damaged', message: 'hosts line 2: the range [1:1000000] stands for more than 10000 hosts' },
    ],
    ['ranges in ranges', '[a]\nweb[1:200][1:200]\n', 'hosts', { code: 'damaged' }],
    [
      'eleven thousand hosts',
      '[a]\nweb[1:9000]\n[b]\ndb[1:2000]\n',
      'hosts',
      { code: 'damaged', message: 'hosts line 4: it has more than 10000 hosts' },
    ],
    [
      'YAML that goes deep',
      `all: ${'['.repeat(300)}\n`,
      'hosts.yml',
      { code: 'damaged', message: 'hosts.yml line 1: it goes too deep' },
    ],
    [
      'YAML of one line',
      `${'- '.repeat(5000)}\n`,
      'hosts.yml',
      { code: 'damaged', message: 'hosts.yml line 1: there is too much on one line' },
    ],
    ['JSON that goes deep', `${'{"a":'.repeat(300)}1${'}'.repeat(300)}`, 'hosts.json', { code: 'damaged' }],
    ['a group that holds itself', 'a: &a\n  children:\n    a: *a\n', 'hosts.yml', { code: 'damaged' }],
    [
      'groups that hold each other',
      'a: &a\n  children:\n    b:\n      children:\n        c: *a\n',
      'hosts.yml',
      { code: 'damaged' },
    ],
  ])('is refused: %s', async (_what, text, name, error) => {
    await expect(read(text, name)).rejects.toMatchObject(error)
  })

  test('and groups that stand in thousands of others', async () => {
    const chain = Array.from({ length: 4000 }, (_, i) => `[g${i}:children]\ng${i + 1}`)
    const text = [...chain, '[g4000]', 'web1'].join('\n')
    await expect(read(text)).rejects.toMatchObject({
      code: 'damaged',
      message: expect.stringMatching(/too many others$/),
    })
  })

  test('and aliases of aliases cost nothing but what they are read for', async () => {
    const levels = Array.from({ length: 20 }, (_, i) => `v${i + 1}: &v${i + 1} {a: *v${i}, b: *v${i}, c: *v${i}}`)
    const text = ['v0: &v0 {x: y}', ...levels, 'all:', '  hosts: {web1: {other: *v20}}'].join('\n')
    expect(await read(text, 'hosts.yml')).toEqual([{ word: 'web1', line: 23 }])
    const groups = Array.from(
      { length: 20 },
      (_, i) => `g${i + 1}: &g${i + 1} {children: {a${i}: *g${i}, b${i}: *g${i}, c${i}: *g${i}}}`,
    )
    await expect(read(['g0: &g0 {hosts: {h: }}', ...groups].join('\n'), 'hosts.yml')).rejects.toMatchObject({
      code: 'damaged',
    })
  })
})

describe('the form is told', () => {
  test.each([
    ['by the ending', 'a:\n', 'hosts.yaml', 0],
    ['by a section', '\n# x\n[web]\na\n', 'x', 1],
    ['by a variable', 'a ansible_host=b\n', 'x', 1],
    ['by a range', 'web[1:3]\n', 'x', 3],
    ['by a key', 'all:\n  hosts:\n    a:\n', 'x', 1],
    ['by a brace', '{"g":["a"],"_meta":{}}', '-', 1],
    ['by dashes', '---\nall: {hosts: {a: , b: }}\n', 'x', 2],
    ['by a byte order mark’s absence', '\ufeffweb1\n', 'x', 1],
    ['as a list for want of all that', 'a\nb\n[::1]:22\n', 'x', 3],
  ])('%s', async (_how, text, name, count) => {
    expect(await read(text, name)).toHaveLength(count)
  })
})

describe('one host is refused, the others are not', () => {
  const refused = async (text: string, name?: string) => {
    const [first, second] = await read(text, name)
    if (!first || !('refused' in first)) throw new Error('it was not refused')
    expect(second).toMatchObject({ word: 'b' })
    expect(second).not.toHaveProperty('refused')
    const { code, message, reason } = first.refused
    return { code, message, reason }
  }
  test('for a template, whose line is named', async () => {
    expect(await refused('[g]\na\nb ansible_user=x\n[g:vars]\nansible_user={{ me }}\n')).toEqual({
      code: 'unsupported',
      message: 'a: ansible_user is a template (line 5)',
      reason: 'templates are never evaluated here',
    })
  })
  test('for a secret of the vault', async () => {
    const vault = '!vault |\n        $ANSIBLE_VAULT;1.1;AES256\n        3132\n'
    const text = `all:\n  hosts:\n    a:\n      ansible_host: ${vault}    b:\n`
    expect(await refused(text, 'hosts.yml')).toMatchObject({
      code: 'unsupported',
      message: "a: ansible_host can't be used (line 4)",
      reason: "it is encrypted by Ansible's vault",
    })
    const printed = { g: ['a', 'b'], _meta: { hostvars: { a: { ansible_host: { __ansible_vault: 'x' } } } } }
    expect(await refused(JSON.stringify(printed))).toMatchObject({ message: "a: ansible_host can't be used" })
  })
  test.each([
    ['an address that is an option', 'a ansible_host=-oProxyCommand=x', "a: its address can't be used"],
    ['a user with a command in it', "a ansible_user='$(reboot)'", "a: its user can't be used"],
    ['a key with a line break', 'a ansible_private_key_file="/k\u001b[0m"', "a: its key can't be used"],
    ['a port', 'a ansible_port=0', "a: its port can't be used"],
    ['an empty address', "a ansible_host=''", "a: its address can't be used"],
  ])('for %s', async (_what, line, message) => {
    expect(await refused(`[g]\n${line}\nb\n`)).toMatchObject({ code: 'damaged', message })
  })
  test('for a way that is a program', async () => {
    const text = 'all:\n  hosts:\n    a:\n      ansible_ssh_common_args: -o ProxyCommand="nc %h %p"\n    b:\n'
    expect(await refused(text, 'hosts.yml')).toMatchObject({
      code: 'unsupported',
      reason: expect.stringMatching(/: programs that an inventory names are not run$/),
    })
  })
})

test('hosts that SSH does not reach are passed over, and why is said', async () => {
  expect(await read('[g]\na ansible_connection=local\nb ansible_connection=community.docker.docker\n')).toEqual([
    { word: 'a', line: 2, passedOver: 'it is this machine itself (ansible_connection=local)' },
    { word: 'b', line: 3, passedOver: 'it is not reached by SSH (ansible_connection=docker)' },
  ])
})

test.each([
  ['-J bastion', 'bastion'],
  ['-Jhana@bastion:22', 'hana@bastion:22'],
  ['-o ProxyJump=one,two', 'one,two'],
  ['-oProxyJump=bastion -oProxyJump=other', 'bastion'],
  ['-o "ProxyJump bastion" -o StrictHostKeyChecking=no', 'bastion'],
  ['-C -o ControlMaster=auto -o ControlPersist=60s', undefined],
  ['-o ProxyJump=none', undefined],
  ['-o ProxyCommand="ssh -W %h:%p -q hana@bastion"', 'hana@bastion'],
  ["-o ProxyCommand='ssh -q -l hana -p 2222 -W [%h]:%p bastion'", 'hana@bastion:2222'],
  ['-o User=x -F /dev/null', undefined],
])('the way of ansible_ssh_common_args %s', async (given, jump) => {
  const text = JSON.stringify({ all: { hosts: { a: { ansible_ssh_common_args: given } } } })
  expect(await one(text)).toEqual({ word: 'a', ...(jump !== undefined && { jump }) })
})

test.each([
  '-o ProxyCommand="ssh -W %h:%p -i /k bastion"',
  '-o ProxyCommand="ssh bastion nc %h %p"',
  '-o ProxyCommand="ssh -W %h:%p bastion; reboot"',
  '-J "-oProxyCommand=x"',
  '-J "a;b"',
  '-o "unclosed',
])('no way is made of %s', async given => {
  const text = JSON.stringify({ all: { hosts: { a: { ansible_ssh_common_args: given } } } })
  expect(await one(text)).toMatchObject({
    word: 'a',
    refused: { code: expect.stringMatching(/^(unsupported|damaged)$/) },
  })
})
