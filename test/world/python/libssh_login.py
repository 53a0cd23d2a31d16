"""Logs in to an SSH server with libssh and the agent in SSH_AUTH_SOCK alone, runs a command, passes its output on.

usage: libssh_login.py HOST PORT USER COMMAND ["TYPE BASE64"]   (the server's host key; any is taken without it)
"""

import ctypes
import os
import sys

ssh = ctypes.CDLL("libssh.so.4")
POINTER = ctypes.c_void_p
for name in ("ssh_new", "ssh_channel_new", "ssh_get_error"):
    getattr(ssh, name).restype = POINTER

# libssh.h: enum ssh_options_e, ssh_auth_e.
OPTIONS = {"host": 0, "port": 2, "user": 4, "folder": 5}
SUCCESS = 0
SECONDS = 9


def check(session, done, what):
    if done != SUCCESS:
        why = ctypes.string_at(ssh.ssh_get_error(session)).decode(errors="replace")
        sys.exit(f"{what}: {why or done}")


def server_key(session):
    key, text = POINTER(), ctypes.c_char_p()
    check(session, ssh.ssh_get_server_publickey(session, ctypes.byref(key)), "host key")
    check(session, ssh.ssh_pki_export_pubkey_base64(key, ctypes.byref(text)), "host key")
    return text.value.decode()


def read_all(channel, write, is_stderr):
    part = ctypes.create_string_buffer(4096)
    while (size := ssh.ssh_channel_read(channel, part, len(part), is_stderr)) > 0:
        write(part.raw[:size].decode())


def main(host, port, user, command, host_key=None):
    if "SSH_AUTH_SOCK" not in os.environ:
        sys.exit("SSH_AUTH_SOCK is not set")
    session = POINTER(ssh.ssh_new())
    # No folder: neither keys nor hosts of whoever runs this.
    for option, value in {"host": host, "port": port, "user": user, "folder": "/nonexistent"}.items():
        check(session, ssh.ssh_options_set(session, OPTIONS[option], value.encode()), option)
    seconds = ctypes.c_long(10)
    check(session, ssh.ssh_options_set(session, SECONDS, ctypes.byref(seconds)), "timeout")
    check(session, ssh.ssh_connect(session), "connect")
    if host_key is not None and server_key(session) != host_key.split(" ")[1]:
        sys.exit("the host has another key")
    check(session, ssh.ssh_userauth_agent(session, None), "log in")
    channel = POINTER(ssh.ssh_channel_new(session))
    check(session, ssh.ssh_channel_open_session(channel), "channel")
    check(session, ssh.ssh_channel_request_exec(channel, command.encode()), "command")
    read_all(channel, sys.stdout.write, 0)
    read_all(channel, sys.stderr.write, 1)
    return ssh.ssh_channel_get_exit_status(channel)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
