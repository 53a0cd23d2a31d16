"""An SSH server of paramiko's on 127.0.0.1 that lets everybody in and has SFTP alone: one that can't exchange files in one go.

Its `rename` refuses a name that is taken, and it knows no extension that is used here. It starts in the working folder.

usage: paramiko_sftp_server.py   (prints its port; ends with its standard input)
"""

import os
import socket
import sys
import threading
import warnings

# Its old ciphers make Debian's python3-cryptography talk.
warnings.simplefilter("ignore")

import paramiko
from paramiko import SFTP_FAILURE, SFTP_OK, SFTPAttributes, SFTPHandle, SFTPServer


class Open(paramiko.ServerInterface):
    def get_allowed_auths(self, username):
        return "none"

    def check_auth_none(self, username):
        return paramiko.AUTH_SUCCESSFUL

    def check_channel_request(self, kind, chanid):
        return paramiko.OPEN_SUCCEEDED if kind == "session" else paramiko.OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED


class File(SFTPHandle):
    def stat(self):
        return SFTPAttributes.from_stat(os.fstat((self.readfile or self.writefile).fileno()))

    def chattr(self, attr):
        SFTPServer.set_file_attr(self.filename, attr)
        return SFTP_OK


def told(work):
    """Its result, or the error's number."""
    try:
        return work()
    except OSError as error:
        return SFTPServer.convert_errno(error.errno)


def done(work):
    return told(lambda: SFTP_OK if work() is None else SFTP_OK)


class Disk(paramiko.SFTPServerInterface):
    def canonicalize(self, path):
        return os.path.normpath(os.path.join(os.getcwd(), path))

    def list_folder(self, path):
        def attributes(name):
            found = SFTPAttributes.from_stat(os.lstat(os.path.join(path, name)), name)
            found.filename = name
            return found

        return told(lambda: [attributes(name) for name in os.listdir(path)])

    def stat(self, path):
        return told(lambda: SFTPAttributes.from_stat(os.stat(path)))

    def lstat(self, path):
        return told(lambda: SFTPAttributes.from_stat(os.lstat(path)))

    def open(self, path, flags, attr):
        def opened():
            descriptor = os.open(path, flags, attr.st_mode or 0o666)
            mode = "r" if not flags & (os.O_WRONLY | os.O_RDWR) else "a" if flags & os.O_APPEND else "w"
            stream = os.fdopen(descriptor, mode + "b")
            handle = File(flags)
            handle.filename = path
            handle.readfile = stream if mode == "r" else None
            handle.writefile = stream if mode != "r" else None
            return handle

        return told(opened)

    def remove(self, path):
        return done(lambda: os.remove(path))

    def rename(self, old, new):
        return SFTP_FAILURE if os.path.lexists(new) else done(lambda: os.rename(old, new))

    def mkdir(self, path, attr):
        return done(lambda: os.mkdir(path, attr.st_mode or 0o777))

    def rmdir(self, path):
        return done(lambda: os.rmdir(path))

    def chattr(self, path, attr):
        return done(lambda: SFTPServer.set_file_attr(path, attr))

    def readlink(self, path):
        return told(lambda: os.readlink(path))


def serve(listener):
    key = paramiko.ECDSAKey.generate()
    while True:
        client, _ = listener.accept()
        transport = paramiko.Transport(client)
        transport.add_server_key(key)
        transport.set_subsystem_handler("sftp", SFTPServer, Disk)
        transport.start_server(server=Open())


listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
threading.Thread(target=serve, args=(listener,), daemon=True).start()
sys.stdin.read()
os._exit(0)
