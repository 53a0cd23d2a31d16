"""Has the agent in SSH_AUTH_SOCK list its keys and sign with each, through paramiko. Prints a JSON list.

usage: paramiko_agent.py
"""

import base64
import json

import paramiko

DATA = b"data to be signed"
CLASSES = {
    "ssh-ed25519": (paramiko.Ed25519Key, [None]),
    "ssh-rsa": (paramiko.RSAKey, ["rsa-sha2-256", "rsa-sha2-512"]),
}


def main():
    found = []
    for key in paramiko.Agent().get_keys():
        make, algorithms = CLASSES.get(key.get_name(), (paramiko.ECDSAKey, [None]))
        public = make(data=key.asbytes())
        for algorithm in algorithms:
            signature = key.sign_ssh_data(DATA, algorithm)
            found.append(
                {
                    "blob": base64.b64encode(key.asbytes()).decode(),
                    "algorithm": algorithm,
                    "verified": public.verify_ssh_sig(DATA, paramiko.Message(signature)),
                }
            )
    print(json.dumps(found))


if __name__ == "__main__":
    main()
