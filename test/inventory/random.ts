import fc from 'fast-check'
import type { Row } from './rows.js'

// Inventories nobody would write, from pieces that mean something.

const group = fc.constantFrom('a', 'b', 'c', 'd', 'e')
const name = fc.constantFrom('h1', 'h2', 'h3', 'web[1:3]', 'db-[a:b].x', 'h4:2222', '10.0.0.9', '[::1]:22', 'a')
const variable = fc.oneof(
  fc.tuple(fc.constantFrom('ansible_host', 'ansible_ssh_host'), fc.constantFrom('10.0.0.1', 'x.example', '"y"')),
  fc.tuple(fc.constantFrom('ansible_port', 'ansible_ssh_port'), fc.constantFrom('22', '"2222"', '2_0', '023')),
  fc.tuple(fc.constantFrom('ansible_user', 'ansible_ssh_user'), fc.constantFrom('hana', "'ops'", 'None', 'D\\u')),
  fc.tuple(fc.constantFrom('ansible_private_key_file', 'ansible_ssh_private_key_file'), fc.constantFrom('~/k', '/k')),
  fc.tuple(fc.constant('ansible_group_priority'), fc.constantFrom('1', '5')),
  fc.tuple(fc.constant('other'), fc.constantFrom('1', '{{x}}', '[]')),
)
const assignment = variable.map(([key, value]) => `${key}=${value}`)
const assignments = fc.array(assignment, { maxLength: 3 })

const hosts = fc
  .tuple(fc.option(group), fc.array(fc.tuple(name, assignments), { maxLength: 4 }))
  .map(([section, lines]) => [
    ...(section === null ? [] : [`[${section}]`]),
    ...lines.map(([host, own]) => [host, ...own].join(' ')),
  ])
const children = fc
  .tuple(group, fc.uniqueArray(group, { maxLength: 2 }))
  .map(([parent, names]) => [`[${parent}:children]`, ...names])
const vars = fc
  .tuple(fc.oneof(group, fc.constantFrom('all', 'ungrouped')), assignments)
  .map(([of, lines]) => [`[${of}:vars]`, ...lines])

const iniText = fc
  .array(
    fc.oneof({ weight: 3, arbitrary: hosts }, { weight: 1, arbitrary: children }, { weight: 2, arbitrary: vars }),
    { minLength: 1, maxLength: 6 },
  )
  // Groups are there, so that few of them fail.
  .map(parts => [...parts, ...['a', 'b', 'c', 'd', 'e'].map(each => [`[${each}]`])].flat().join('\n'))

const yamlVariables = fc
  .array(variable, { maxLength: 3 })
  .map(pairs => Object.fromEntries(pairs.map(([key, value]) => [key, value.replace(/["']/g, '')])))
interface YamlGroup {
  hosts?: Record<string, object>
  vars?: object
  children?: Record<string, YamlGroup>
}
const yamlGroup: fc.Arbitrary<YamlGroup> = fc.letrec<{ group: YamlGroup }>(tie => ({
  group: fc.record(
    {
      hosts: fc.dictionary(name, yamlVariables, { maxKeys: 3 }),
      vars: yamlVariables,
      children: fc.dictionary(group, tie('group'), { maxKeys: 2 }),
    },
    { requiredKeys: [] },
  ),
})).group

/** An inventory in INI or YAML (JSON is YAML, too). */
export const randomRow: fc.Arbitrary<Row> = fc.oneof(
  iniText.map(text => ({ name: 'hosts', text })),
  fc
    .dictionary(group, yamlGroup, { minKeys: 1, maxKeys: 3 })
    .map(value => ({ name: 'hosts.json', text: JSON.stringify(value) })),
)
