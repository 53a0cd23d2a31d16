import type { Inventory } from './ansible.js'

export interface Row extends Inventory {
  /** `never`: Ansible can't read it, and neither can we. `ours`: we read what it does not. `not ours`: the other way round. */
  readonly reads?: 'never' | 'ours' | 'not ours'
  /** Hosts that we refuse although Ansible has an answer: templates, secrets of its own. */
  readonly refused?: readonly string[]
}

const ini = (text: string, more: Partial<Row> = {}): Row => ({ name: 'hosts', text, ...more })
const yaml = (text: string, more: Partial<Row> = {}): Row => ({ name: 'hosts.yml', text, ...more })
const json = (value: unknown, more: Partial<Row> = {}): Row => ({
  name: 'hosts.json',
  text: JSON.stringify(value),
  ...more,
})
const program = (value: unknown, more: Partial<Row> = {}): Row => ({
  name: 'inventory.sh',
  text: JSON.stringify(value, null, 1),
  isProgram: true,
  ...more,
})

export const rows: Readonly<Record<string, Row>> = {
  // INI
  'hosts before any group': ini('alpha\nbeta.example ansible_host=10.0.0.2\n\n[web]\ngamma\n'),
  'comments of all kinds': ini('# a\n; b\n[web] # c\nalpha # d\nbeta ansible_user=hana # e\n  # f\ngamma#g\n'),
  'ports in names': ini('[web]\nalpha:2222\n10.0.0.1:22\n[2001:db8::1]:2200\n2001:db8::2\n::1\n'),
  'a port counts at the first mention only': ini('[a]\nalpha:2222\n[b]\nalpha:2223\nbeta\n[c]\nbeta:2224\n'),
  'a variable before the port in the name': ini('[a]\nalpha:2222 ansible_port=2223\n'),
  'ranges of numbers': ini('[web]\nweb[01:12].example.com\nx[8:11]\ny[1:10:3]\nz[:2]\n'),
  'ranges of letters': ini('[web]\ndb-[a:f]\nu[X:Z]\nstep[a:g:2]\nmixed[z:A]\n'),
  'several ranges': ini('[web]\nr[1:2]n[a:c].x:2022 ansible_user=ops\n'),
  'a range of addresses': ini('[web]\n10.0.[0:1].[250:252]\n'),
  'an empty range': ini('[web]\na[5:3]\nb\n'),
  'a range that ends before it begins': ini('[web]\na[f:a]\n', { reads: 'never' }),
  'a range of unequal length': ini('[web]\na[01:100]\n', { reads: 'never' }),
  'a range without an end': ini('[web]\na[1:]\n', { reads: 'never' }),
  'a range of four parts': ini('[web]\na[1:2:3:4]\n', { reads: 'never' }),
  'children and their variables': ini(
    '[web]\na\n[db]\nb\n[site:children]\nweb\ndb\n[site:vars]\nansible_user=site\nansible_port=2201\n[web:vars]\nansible_user=web\n[all:vars]\nansible_user=all\nansible_ssh_private_key_file=~/.ssh/all\n',
  ),
  'children that come later': ini('[site:children]\nweb\n[site:vars]\nansible_user=u\n[web]\na\n'),
  'variables before the group': ini('[web:vars]\nansible_user=early\n[web]\na\n'),
  'variables of no group': ini('[web:vars]\nansible_user=x\n[db]\na\n', { reads: 'never' }),
  'children of no group': ini('[site:children]\nweb\n', { reads: 'never' }),
  'variables of a group that is a child': ini('[web:vars]\nansible_user=x\n[site:children]\nweb\n[web]\na\n'),
  'groups in a circle': ini('[a:children]\nb\n[b:children]\na\n', { reads: 'never' }),
  'the deeper group counts': ini(
    '[x]\nh\n[y]\nh\n[deep:children]\nx\n[deeper:children]\ndeep\n[x:vars]\nansible_user=x\n[y:vars]\nansible_user=y\n',
  ),
  'of the same depth the later name counts': ini(
    '[b]\nh\n[a]\nh\n[a:vars]\nansible_user=a\n[b:vars]\nansible_user=b\n',
  ),
  'a priority counts more than the name': ini(
    '[b]\nh\n[a]\nh\n[a:vars]\nansible_user=a\nansible_group_priority=10\n[b:vars]\nansible_user=b\n',
  ),
  'a priority does not outdo depth': ini(
    '[low]\nh\n[p:children]\nlow\n[top]\nh\n[top:vars]\nansible_user=top\nansible_group_priority=10\n[low:vars]\nansible_user=low\n',
  ),
  'ungrouped and its variables': ini('a\n[web]\nb\n[ungrouped:vars]\nansible_user=lonely\n'),
  'in no group after all': ini('a\n[web]\na\n[ungrouped:vars]\nansible_user=lonely\n'),
  'a host of a group’s name': ini('[web]\nweb ansible_user=both\nother\n'),
  'old names': ini(
    'a ansible_ssh_host=1.1.1.1 ansible_ssh_port=2200 ansible_ssh_user=old ansible_private_key_file=k\n',
  ),
  'old names beside new ones': ini(
    'a ansible_host=1.1.1.1 ansible_ssh_host=2.2.2.2 ansible_port=1 ansible_ssh_port=2 ansible_user=n ansible_ssh_user=o ansible_private_key_file=p ansible_ssh_private_key_file=q\n',
  ),
  'an old name in a group, a new one at the host': ini('[g]\na ansible_user=n\n[g:vars]\nansible_ssh_user=o\n'),
  'quotes in a host’s line': ini(
    `a ansible_user="hana b" ansible_ssh_private_key_file='~/my key' ansible_port='2222'\n`,
  ),
  'quotes within quotes': ini(`a ansible_user="'hana'" ansible_host='"10.0.0.1"'\n`),
  'a quote that is not closed': ini('a ansible_user="hana\n', { reads: 'never' }),
  backslashes: ini("a ansible_user=DOM\\\\hana\nb ansible_user='DOM\\hana'\nc ansible_user=a\\ b\n"),
  'quotes in a group’s line': ini(
    '[g]\na\n[g:vars]\nansible_user = "hana b"\nansible_port= \'22\' # c\nansible_ssh_private_key_file =/k # no comment\n',
  ),
  'python’s literals': ini(
    '[g]\na ansible_port=0x16\nb ansible_port=022\nc ansible_port=2_222\nd ansible_user=None\ne ansible_user=True\nf ansible_port=+22\n',
  ),
  'an inner None undoes the outer value': ini('[g]\na ansible_user=None\n[g:vars]\nansible_user=g\n'),
  'words that are no assignment': ini('a b\n', { reads: 'never' }),
  'a section that is none': ini('[web servers]\na\n', { reads: 'never' }),
  'a section of another kind': ini('[web:hostz]\na\n', { reads: 'never' }),
  'a colon without a port': ini('[g]\na:\n', { reads: 'never' }),
  CRLF: ini('[web]\r\na ansible_user=hana\r\nb:2222\r\n[web:vars]\r\nansible_port=22\r\n'),
  'a connection of another kind': ini(
    '[g]\na ansible_connection=local\nb ansible_connection=docker\nc ansible_connection=ssh\nd ansible_connection=paramiko\n',
  ),
  'values that are empty': ini('[g]\na ansible_user= ansible_ssh_private_key_file=\n[g:vars]\nansible_user=g\n'),
  'a template': ini("a ansible_host={{ip}}\nb ansible_user=\"{{ lookup('env', 'USER') }}\"\nc\n", {
    refused: ['a', 'b'],
  }),
  'a template where it does not matter': ini('a my_var={{x}} ansible_become_pass={{y}}\n'),
  'a port that is none': ini('[g]\na ansible_port=ssh\nb ansible_port=[22]\nc\n', { refused: ['a', 'b'] }),
  // YAML
  'a map of groups': yaml(
    'all:\n  hosts:\n    a:\n    b:\n      ansible_host: 10.0.0.2\n      ansible_port: 2222\n  children:\n    web:\n      hosts:\n        c: {ansible_user: hana}\n      vars:\n        ansible_user: web\n        ansible_ssh_private_key_file: ~/.ssh/web\n',
  ),
  'nested groups': yaml(
    'all:\n  vars: {ansible_user: all}\n  children:\n    a:\n      vars: {ansible_user: a}\n      children:\n        b:\n          hosts: {x: , y: {ansible_user: y}}\n          children:\n            c:\n              hosts:\n                z:\n              vars: {ansible_user: c}\n',
  ),
  'groups at the top': yaml('web:\n  hosts:\n    a:\ndb:\n  hosts:\n    b:\n  vars:\n    ansible_port: "22"\n'),
  'ranges in YAML': yaml('all:\n  hosts:\n    "web[1:3].x:2022":\n      ansible_user: r\n    n[a:b]:\n'),
  'a single host as text': yaml('all:\n  hosts: a\n'),
  'a list of hosts': yaml('all:\n  hosts:\n    - a\n    - b\n', { reads: 'ours' }),
  'anchors and merged maps': yaml(
    'all:\n  hosts:\n    a: &a\n      ansible_user: u\n      ansible_port: 22\n    b:\n      <<: *a\n      ansible_port: 23\n    c: *a\n    d:\n      <<: [{ansible_user: first}, *a]\n',
  ),
  'keys written twice': yaml(
    'all:\n  hosts:\n    a: {ansible_user: x, ansible_user: y}\n  vars: {ansible_port: 1}\n  vars: {ansible_port: 2}\n',
  ),
  'values of YAML 1.1': yaml(
    'all:\n  hosts:\n    a: {ansible_port: 026, ansible_user: yes}\n    b: {ansible_port: 0x16, ansible_user: ~}\n    c: {ansible_port: 2_2, ansible_user: "no"}\n',
  ),
  'a host that is a number': yaml('all:\n  hosts:\n    10:\n', { reads: 'never' }),
  'a host that is a switch': yaml('all:\n  hosts:\n    on:\n', { reads: 'never' }),
  'unknown keys': yaml('all:\n  hosts:\n    a:\n  hots:\n    b:\nother: 5\n'),
  'a child that is no group': yaml('all:\n  children:\n    web: 5\n', { reads: 'never' }),
  'vars that are a list': yaml('all:\n  vars: [a]\n', { reads: 'never' }),
  'the same host in several groups': yaml(
    'a:\n  hosts: {h: {ansible_user: one}}\nb:\n  hosts: {h: {ansible_port: 2}, i: }\n  vars: {ansible_user: b}\n',
  ),
  'a vault': yaml(
    'all:\n  hosts:\n    a:\n      ansible_host: !vault |\n        $ANSIBLE_VAULT;1.1;AES256\n        6162\n    b:\n',
    { refused: ['a'] },
  ),
  'a literal with braces': yaml('all:\n  hosts:\n    a:\n      ansible_ssh_private_key_file: !unsafe "/k/{{x}}"\n'),
  'no inventory but a plugin’s settings': yaml('plugin: amazon.aws.aws_ec2\nkeyed_groups: []\n', { reads: 'never' }),
  'broken YAML': yaml('all:\n  hosts: {a: [\n', { reads: 'never' }),
  'several documents': yaml('all:\n  hosts: {a: }\n---\nall:\n  hosts: {b: }\n', { reads: 'never' }),
  'text of several lines': yaml(
    'all:\n  hosts:\n    a:\n      ansible_user: >-\n        hana\n      ansible_ssh_private_key_file: |-\n        /k\n',
  ),
  'YAML without an ending': { name: 'hosts', text: '---\nall:\n  hosts:\n    a: {ansible_port: 22}\n' },
  // JSON
  'JSON as YAML': json({
    all: { hosts: { a: null, b: { ansible_port: 2222, ansible_user: 'u' } }, children: { g: { hosts: { c: {} } } } },
  }),
  'what a program prints': program({
    web: { hosts: ['a', 'b'], vars: { ansible_user: 'web' } },
    db: ['c'],
    site: { children: ['web', 'db'], vars: { ansible_port: 2200, ansible_user: 'site' } },
    lone: { ansible_host: '1.2.3.4' },
    _meta: { hostvars: { a: { ansible_host: '10.0.0.1', ansible_port: '23' }, z: { ansible_host: 'x' } } },
  }),
  'a program without _meta': program({ g: { hosts: ['a'] }, _meta: { hostvars: {} } }),
  'a program whose group has no list': program({ g: { hosts: 'a' }, _meta: { hostvars: {} } }, { reads: 'never' }),
  'names with brackets from a program': program(
    { g: ['a[1:2]', 'b:22'], _meta: { hostvars: {} } },
    { refused: ['a[1:2]', 'b:22'] },
  ),
}
