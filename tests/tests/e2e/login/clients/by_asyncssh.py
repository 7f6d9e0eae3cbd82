"""The same as by_paramiko.py, with asyncssh."""
import asyncio
import sys
import asyncssh

user, *key = sys.argv[1:]


class Client(asyncssh.SSHClient):
    def kbdint_auth_requested(self):
        return ""

    def kbdint_challenge_received(self, _name, _instructions, _language, prompts):
        return [sys.stdin.readline().rstrip("\n") for _ in prompts]


async def copy():
    hosts = "/etc/ssh/ssh_known_hosts"
    options = {"username": user, "client_keys": key or None, "known_hosts": hosts, "client_factory": Client}
    async with asyncssh.connect("localhost", **options) as connection:
        await asyncssh.scp("/tmp/original", (connection, "copy"))


asyncio.run(copy())
