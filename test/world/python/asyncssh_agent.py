"""Has the agent in SSH_AUTH_SOCK do all that asyncssh can ask of one. Prints what came of each step as JSON.

usage: asyncssh_agent.py KEY...   (private key files, which it adds)
"""

import asyncio
import json
import os
import sys
import warnings

# Its old ciphers make Debian's python3-cryptography talk.
warnings.simplefilter("ignore")

import asyncssh
from asyncssh.public_key import decode_ssh_public_key

DATA = b"data to be signed"


async def verify(key):
    """Whether what the agent signs with a key verifies with its public half."""
    public = decode_ssh_public_key(key.public_data)
    return public.verify(DATA, await key.sign_async(DATA))


async def refuses(request):
    try:
        await request
    except ValueError:
        return True
    return False


async def use_agent(files):
    steps = {}
    async with asyncssh.connect_agent(os.environ["SSH_AUTH_SOCK"]) as agent:

        async def comments():
            return [key.get_comment() for key in await agent.get_keys()]

        await agent.add_keys(files[:1])
        await agent.add_keys(files[1:], lifetime=600)
        keys = await agent.get_keys()
        steps["added"] = [key.get_comment() for key in keys]
        steps["verified"] = [await verify(key) for key in keys]
        await agent.lock("sesame")
        steps["locked"] = await comments()
        steps["signs locked"] = not await refuses(keys[0].sign_async(DATA))
        steps["wrong passphrase"] = not await refuses(agent.unlock("wrong"))
        await agent.unlock("sesame")
        steps["unlocked"] = await comments()
        await agent.remove_keys(keys[:1])
        steps["removed"] = await comments()
        steps["card"] = not await refuses(agent.add_smartcard_keys("/nonexistent.so", "1234"))
        await agent.remove_all()
        steps["removed all"] = await comments()
        # Left for who looks at the agent now.
        await agent.add_keys(files[:1], lifetime=600, confirm=True)
    return steps


if __name__ == "__main__":
    print(json.dumps(asyncio.run(use_agent(sys.argv[1:]))))
