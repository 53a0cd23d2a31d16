import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Environment, Home } from '../world/home.js'
import { run } from '../world/run.js'

/** How a host is reached, as far as an inventory says so. */
export interface Reached {
  readonly name: string
  readonly host: string
  readonly port: number | null
  readonly user: string | null
  readonly identity: string | null
  readonly connection: string | null
}

/** An inventory; `isProgram`: what a program prints, for Ansible to run. */
export interface Inventory {
  readonly name: string
  readonly text: string
  readonly isProgram?: boolean
}

// Ansible's own reader and the options of its ssh connection, without a process for each inventory.
const SCRIPT = `
import json, os, sys, tempfile
os.environ['ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED'] = 'True'
os.environ['ANSIBLE_DEPRECATION_WARNINGS'] = 'False'
from ansible import constants
from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
from ansible.playbook.play_context import PlayContext
from ansible.plugins.loader import connection_loader
from ansible.utils.display import Display
from ansible.vars.manager import VariableManager
Display.warning = Display.display = lambda *a, **k: None

def reached(host, vars):
    ssh = connection_loader.get('ssh', PlayContext(), os.devnull)
    ssh.set_options(var_options=vars)
    option = lambda name: ssh.get_option(name) or None
    return dict(name=host.name, host=option('host'), port=option('port'), user=option('remote_user') and str(option('remote_user')),
                identity=option('private_key_file'), connection=vars.get('ansible_connection'))

def read(inventory):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, inventory['name'])
        with open(path, 'w', newline='') as file:
            if inventory.get('isProgram'): file.write("#!/bin/sh\\ncat <<'END'\\n")
            file.write(inventory['text'])
            if inventory.get('isProgram'): file.write('\\nEND\\n')
        if inventory.get('isProgram'): os.chmod(path, 0o700)
        # A file that its YAML reader gave up half way would be read on by the INI reader.
        isTree = inventory['name'].endswith(('.yml', '.json'))
        constants.INVENTORY_ENABLED = ['script', 'yaml'] if isTree else ['script', 'yaml', 'ini']
        loader = DataLoader()
        try:
            manager = InventoryManager(loader=loader, sources=[path])
        except Exception as error:
            return dict(error=str(error))
        variables = VariableManager(loader=loader, inventory=manager)
        hosts = []
        for host in manager._inventory.hosts.values():
            try:
                hosts.append(reached(host, variables.get_vars(host=host, include_hostvars=False)))
            except Exception as error:
                hosts.append(dict(name=host.name, error=str(error)))
        return dict(hosts=hosts)

print(json.dumps([read(each) for each in json.load(sys.stdin)], default=str))
`

export type Answer =
  | { readonly error: string }
  | { readonly hosts: readonly (Reached | { readonly name: string; readonly error: string })[] }

/** What Ansible makes of each: its hosts, or that it can't read it. */
export async function readWithAnsible(inventories: readonly Inventory[], home: Home): Promise<readonly Answer[]> {
  const env = await ansibleIn(home)
  const input = JSON.stringify(inventories)
  const { status, stdout, stderr } = await run('/usr/bin/python3', ['-W', 'ignore', '-c', SCRIPT], {
    env,
    input,
    timeoutMs: 90_000,
  })
  if (status !== 0) throw new Error(`Ansible ended with ${status}\n${stderr}`)
  return JSON.parse(stdout)
}

/** The environment of Ansible's programs: no settings but those that come with it. */
export async function ansibleIn(home: Home): Promise<Environment> {
  const settings = join(home.path, 'ansible.cfg')
  await writeFile(settings, '')
  return { ...home.env, ANSIBLE_CONFIG: settings }
}
