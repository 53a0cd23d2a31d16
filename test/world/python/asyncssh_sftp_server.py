"""An SSH server of asyncssh's on 127.0.0.1 that lets everybody in and has SFTP alone. It starts in the working folder.

usage: asyncssh_sftp_server.py   (prints its port; ends with its standard input)
"""

import asyncio
import sys
import warnings

# Its old ciphers make Debian's python3-cryptography talk.
warnings.simplefilter("ignore")

import asyncssh


class Open(asyncssh.SSHServer):
    def begin_auth(self, username):
        return False


async def main():
    server = await asyncssh.create_server(
        Open,
        "127.0.0.1",
        0,
        server_host_keys=[asyncssh.generate_private_key("ssh-ed25519")],
        sftp_factory=True,
        allow_scp=False,
    )
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    server.close()


asyncio.run(main())
