"""Logs in to an SSH server with asyncssh and the agent in SSH_AUTH_SOCK alone, runs a command, passes its output on.

usage: asyncssh_login.py HOST PORT USER COMMAND ["TYPE BASE64"]   (the server's host key; any is taken without it)
"""

import asyncio
import os
import sys
import warnings

# Its old ciphers make Debian's python3-cryptography talk.
warnings.simplefilter("ignore")

import asyncssh


async def log_in(host, port, user, command, host_key):
    agent = os.environ.get("SSH_AUTH_SOCK")
    if not agent:
        sys.exit("SSH_AUTH_SOCK is not set")
    known_hosts = None
    if host_key is not None:
        known_hosts = asyncssh.import_known_hosts(f"[{host}]:{port} {host_key}\n")
    async with asyncssh.connect_agent(agent) as held:
        # Given as they are: otherwise it would look for key files too.
        keys = await held.get_keys()
        async with asyncssh.connect(
            host,
            port,
            username=user,
            known_hosts=known_hosts,
            client_keys=keys,
            agent_path=None,
            config=None,
            preferred_auth="publickey",
            connect_timeout=10,
            login_timeout=10,
        ) as connection:
            result = await connection.run(command, stdin=asyncssh.DEVNULL, timeout=10)
            sys.stdout.write(result.stdout)
            sys.stderr.write(result.stderr)
            return result.exit_status


def main(host, port, user, command, host_key=None):
    return asyncio.run(log_in(host, int(port), user, command, host_key))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
