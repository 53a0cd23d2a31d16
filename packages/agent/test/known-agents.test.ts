import { knownAgentAt } from '../src/index.js'

test.each([
  ['/run/user/1000/keyring/ssh', 'gnome-keyring'],
  ['/run/user/1000/keyring/.ssh', 'gnome-keyring'],
  ['/tmp/keyring-Ab12/ssh', 'gnome-keyring'],
  ['/run/user/1000/gcr/ssh', 'gcr-ssh-agent'],
  ['/run/user/1000/gnupg/S.gpg-agent.ssh', 'gpg-agent'],
  ['/home/hana/.gnupg/S.gpg-agent.ssh', 'gpg-agent'],
  ['/home/hana/.1password/agent.sock', '1Password'],
  ['/Users/hana/Library/Group Containers/2BUA8C4S2C.com.1password/t/agent.sock', '1Password'],
  ['/home/hana/.bitwarden-ssh-agent.sock', 'Bitwarden'],
  ['/Users/hana/Library/Containers/com.maxgoedjen.Secretive.SecretAgent/Data/socket.ssh', 'Secretive'],
  ['/private/tmp/com.apple.launchd.X1/Listeners', "macOS's ssh-agent"],
  ['/run/user/1000/openssh_agent', "systemd's ssh-agent"],
  ['/tmp/ssh-AbCdEf/agent.4242', 'ssh-agent'],
  ['/home/hana/.ssh/agent/s.2N0me1rP8M.local.8906.IKTXaX5KQL', 'ssh-agent'],
])('%s is that of %s', (path, name) => {
  expect(knownAgentAt(path, false)).toEqual({ name, isForwarded: false })
})

test('in a session that came over ssh, the place that ssh-agent and sshd share is sshd’s', () => {
  expect(knownAgentAt('/tmp/ssh-AbCdEf/agent.4242', true)).toMatchObject({ isForwarded: true })
  expect(knownAgentAt('/home/hana/.ssh/agent/s.2N0me1rP8M.sshd.77.IKTXaX5KQL', false)).toMatchObject({
    isForwarded: true,
  })
  expect(knownAgentAt('/run/user/1000/keyring/ssh', true)).toEqual({ name: 'gnome-keyring', isForwarded: false })
})

test.each(['', '/', '/tmp/agent.sock', '/home/hana/keyring/ssh/more', 'agent.1', '/tmp/ssh-/agent.x'])(
  '%j says nothing',
  path => {
    expect(knownAgentAt(path, false)).toBeUndefined()
  },
)
