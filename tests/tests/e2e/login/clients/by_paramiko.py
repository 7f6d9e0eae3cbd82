"""Copies /tmp/original with paramiko. Arguments: the user, a key's file if there is one. Standard input: the answers, one a line."""
import sys
import paramiko

user, *key = sys.argv[1:]


def answer(_title, _instructions, prompts):
    return [sys.stdin.readline().rstrip("\n") for _ in prompts]


with paramiko.Transport(("localhost", 22)) as transport:
    transport.start_client()
    for file in key:
        further = transport.auth_publickey(user, paramiko.Ed25519Key.from_private_key_file(file))
        assert further == ["keyboard-interactive"], further
    transport.auth_interactive(user, answer)
    assert transport.is_authenticated()
    transport.open_sftp_client().put("/tmp/original", "copy")
