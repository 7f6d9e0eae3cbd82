"""Reads key URIs, one a line, with the program that is named: issuer, account and secret with tabs between; an empty line if it refuses."""

import base64
import sys


def pyotp(uri):
    import pyotp

    read = pyotp.parse_uri(uri)
    return read.issuer, read.name, read.secret


def ykman(uri):
    from yubikit.oath import CredentialData

    read = CredentialData.parse_uri(uri)
    return read.issuer, read.name, base64.b32encode(read.secret).decode().rstrip("=")


reader = {"pyotp": pyotp, "ykman": ykman}[sys.argv[1]]
sys.stdin.reconfigure(encoding="utf-8", newline="\n")
sys.stdout.reconfigure(encoding="utf-8", newline="\n")
for line in sys.stdin:
    try:
        print("\t".join(field or "" for field in reader(line.rstrip("\n"))))
    except ValueError:
        print()
