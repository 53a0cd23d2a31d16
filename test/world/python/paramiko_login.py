"""Logs in to an SSH server with paramiko and the agent in SSH_AUTH_SOCK alone, runs a command, passes its output on.

usage: paramiko_login.py HOST PORT USER COMMAND ["TYPE BASE64"]   (the server's host key; any is taken without it)
"""

import os
import sys

import paramiko


def log_in(host, port, user, host_key):
    client = paramiko.SSHClient()
    if host_key is None:
        client.set_missing_host_key_policy(paramiko.AutoAddPolicy())
    else:
        entry = paramiko.hostkeys.HostKeyEntry.from_line(f"[{host}]:{port} {host_key}")
        client.get_host_keys().add(f"[{host}]:{port}", entry.key.get_name(), entry.key)
        client.set_missing_host_key_policy(paramiko.RejectPolicy())
    client.connect(
        host,
        port,
        user,
        allow_agent=True,
        look_for_keys=False,
        timeout=10,
        banner_timeout=10,
        auth_timeout=10,
    )
    return client


def main(host, port, user, command, host_key=None):
    if "SSH_AUTH_SOCK" not in os.environ:
        sys.exit("SSH_AUTH_SOCK is not set")
    client = log_in(host, int(port), user, host_key)
    try:
        stdin, stdout, stderr = client.exec_command(command, timeout=10)
        stdin.close()
        sys.stdout.write(stdout.read().decode())
        sys.stderr.write(stderr.read().decode())
        return stdout.channel.recv_exit_status()
    finally:
        client.close()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
