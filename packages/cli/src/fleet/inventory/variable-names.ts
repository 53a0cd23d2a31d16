/** By what each is called, the name that counts for more last: so Ansible has it, old names before new ones. */
export const variables = {
  connection: ['ansible_connection'],
  host: ['ansible_host', 'ansible_ssh_host'],
  port: ['ansible_port', 'ansible_ssh_port'],
  user: ['ansible_user', 'ansible_ssh_user'],
  identity: ['ansible_private_key_file', 'ansible_ssh_private_key_file'],
  arguments: ['ansible_ssh_args', 'ansible_ssh_common_args', 'ansible_ssh_extra_args'],
} as const

/** The variables that say how a host is reached. Others are not looked at, whatever they hold. */
export const variableNames: ReadonlySet<string> = new Set<string>(Object.values(variables).flat())
