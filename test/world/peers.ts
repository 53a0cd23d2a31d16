import { access, constants } from 'node:fs/promises'
import { type RunResult, run } from './run.js'

interface Peer {
  readonly path: string
  /** Debian's package. */
  readonly debian: string
  /** Arguments that make it say its version, and where in its output that stands. */
  readonly version?: readonly [args: readonly string[], pattern: RegExp]
}

const openssh = /OpenSSH_([^\s,]+)/
const python = '/usr/bin/python3'

/** The programs of others that the tests need. Debian's Python, whose modules are Debian's too. */
const peers = {
  ssh: { path: '/usr/bin/ssh', debian: 'openssh-client', version: [['-V'], openssh] },
  'ssh-add': { path: '/usr/bin/ssh-add', debian: 'openssh-client' },
  'ssh-agent': { path: '/usr/bin/ssh-agent', debian: 'openssh-client' },
  'ssh-keygen': { path: '/usr/bin/ssh-keygen', debian: 'openssh-client' },
  sshd: { path: '/usr/sbin/sshd', debian: 'openssh-server', version: [['-V'], openssh] },
  puttygen: { path: '/usr/bin/puttygen', debian: 'putty-tools', version: [['-V'], /Release (\S+)/] },
  plink: { path: '/usr/bin/plink', debian: 'putty-tools', version: [['-V'], /Release (\S+)/] },
  'dbus-daemon': { path: '/usr/bin/dbus-daemon', debian: 'dbus-daemon', version: [['--version'], /Daemon (\S+)/] },
  'gnome-keyring': {
    path: '/usr/bin/gnome-keyring-daemon',
    debian: 'gnome-keyring',
    version: [['--version'], /daemon: (\S+)/],
  },
  systemctl: { path: '/usr/bin/systemctl', debian: 'systemd', version: [['--version'], /systemd (\S+)/] },
  'systemd-analyze': { path: '/usr/bin/systemd-analyze', debian: 'systemd' },
  'systemd-socket-activate': { path: '/usr/bin/systemd-socket-activate', debian: 'systemd' },
  gio: { path: '/usr/bin/gio', debian: 'libglib2.0-bin' },
  'secret-tool': { path: '/usr/bin/secret-tool', debian: 'libsecret-tools' },
  git: { path: '/usr/bin/git', debian: 'git', version: [['--version'], /version (\S+)/] },
  tmux: { path: '/usr/bin/tmux', debian: 'tmux', version: [['-V'], /tmux (\S+)/] },
  smtpd: { path: '/usr/sbin/smtpd', debian: 'opensmtpd', version: [['-h'], /OpenSMTPD (\S+)/] },
  swaks: { path: '/usr/bin/swaks', debian: 'swaks', version: [['--version'], /version (\S+)/] },
  fetchmail: { path: '/usr/bin/fetchmail', debian: 'fetchmail' },
  curl: { path: '/usr/bin/curl', debian: 'curl', version: [['--version'], /^curl (\S+)/] },
  imap: { path: '/usr/lib/dovecot/imap-login', debian: 'dovecot-imapd' },
  dovecot: { path: '/usr/sbin/dovecot', debian: 'dovecot-pop3d', version: [['--version'], /^(\S+)/] },
  paramiko: {
    path: python,
    debian: 'python3-paramiko',
    version: [['-W', 'ignore', '-c', 'import paramiko; print(paramiko.__version__)'], /^(\d\S+)/],
  },
  asyncssh: {
    path: python,
    debian: 'python3-asyncssh',
    version: [['-W', 'ignore', '-c', 'import asyncssh; print(asyncssh.__version__)'], /^(\d\S+)/],
  },
  // A library, which Python calls.
  libssh: {
    path: python,
    debian: 'libssh-4',
    version: [
      [
        '-c',
        'import ctypes; f = ctypes.CDLL("libssh.so.4").ssh_version; f.restype = ctypes.c_char_p; print(f(0).decode())',
      ],
      /^(\d[\d.]+)/,
    ],
  },
} as const satisfies Record<string, Peer>

export type PeerName = keyof typeof peers

export const peerNames = Object.keys(peers) as PeerName[]

/** Where the peer lies. Whether it is there, {@link findPeer} tells. */
export function peerPath(name: PeerName): string {
  return peers[name].path
}

/**
 * Where a peer lies and which version it is (`undefined` when it has no way to say).
 * @throws Error naming Debian's package, when it is not there: a test without its peer has failed, not passed
 */
export async function findPeer(name: PeerName): Promise<{ path: string; version: string | undefined }> {
  const peer: Peer = peers[name]
  const missing = `${name} is not installed: apt-get install ${peer.debian}`
  await access(peer.path, constants.X_OK).catch(cause => {
    throw new Error(missing, { cause })
  })
  if (!peer.version) return { path: peer.path, version: undefined }
  return { path: peer.path, version: versionIn(name, await run(peer.path, peer.version[0])) }
}

/**
 * Which version of itself the peer said, asked as {@link findPeer} does; another build of it may have been asked.
 * @throws Error when it said none
 */
export function versionIn(name: PeerName, { stdout, stderr }: RunResult): string {
  const peer: Peer = peers[name]
  const pattern = peer.version?.[1]
  const version = pattern?.exec(stdout)?.[1] ?? pattern?.exec(stderr)?.[1]
  if (version === undefined)
    throw new Error(`${name} does not say its version: apt-get install ${peer.debian}\n${stderr}`)
  return version
}
