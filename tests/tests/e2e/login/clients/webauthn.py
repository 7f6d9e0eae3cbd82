"""A browser's security key in software, for OpenSSH's webauthn-sk-ecdsa signatures (PROTOCOL.u2f, PROTOCOL.sshsig).

`key` makes the key and prints its public line, `sign` signs standard input as `ssh-keygen -Y sign` does, and `login`
logs in as alice with asyncssh, which takes the answers to sshd's questions from standard input.
"""
import asyncio
import base64
import hashlib
import sys
import warnings

warnings.simplefilter("ignore")
import asyncssh
from asyncssh.packet import Byte, MPInt, String, UInt32
from cryptography.hazmat.primitives import hashes, serialization as ser
from cryptography.hazmat.primitives.asymmetric import ec, utils

FILE = "/root/webauthn.pem"
KEY_TYPE = b"sk-ecdsa-sha2-nistp256@openssh.com"
SIGNATURE_TYPE = b"webauthn-" + KEY_TYPE
APPLICATION, ORIGIN = b"example.org", b"https://example.org"
TOUCHED_AND_VERIFIED = Byte(0x05)


def private():
    with open(FILE, "rb") as file:
        return ser.load_pem_private_key(file.read(), None)


def make():
    pem = (ser.Encoding.PEM, ser.PrivateFormat.PKCS8, ser.NoEncryption())
    with open(FILE, "wb") as file:
        file.write(ec.generate_private_key(ec.SECP256R1()).private_bytes(*pem))


def public():
    point = private().public_key().public_bytes(ser.Encoding.X962, ser.PublicFormat.UncompressedPoint)
    return b"".join(String(part) for part in (KEY_TYPE, b"nistp256", point, APPLICATION))


def signature(data):
    challenge = base64.urlsafe_b64encode(data).rstrip(b"=")
    client_data = b'{"type":"webauthn.get","challenge":"%s","origin":"%s","crossOrigin":false}' % (challenge, ORIGIN)
    before = hashlib.sha256(APPLICATION).digest() + TOUCHED_AND_VERIFIED + UInt32(1)
    der = private().sign(before + hashlib.sha256(client_data).digest(), ec.ECDSA(hashes.SHA256()))
    r, s = utils.decode_dss_signature(der)
    ours = String(MPInt(r) + MPInt(s)) + TOUCHED_AND_VERIFIED + UInt32(1)
    return String(SIGNATURE_TYPE) + ours + String(ORIGIN) + String(client_data) + String(b"")


def armored(message):
    about = b"".join(String(part) for part in (b"qrtotp-key", b"", b"sha512"))
    signed = signature(b"SSHSIG" + about + String(hashlib.sha512(message).digest()))
    blob = b"SSHSIG" + UInt32(1) + String(public()) + about + String(signed)
    return f"-----BEGIN SSH SIGNATURE-----\n{base64.b64encode(blob).decode()}\n-----END SSH SIGNATURE-----"


class Pair(asyncssh.SSHKeyPair):
    def __init__(self):
        # asyncssh knows the key's type only, and would choose that for the signature.
        super().__init__(SIGNATURE_TYPE, SIGNATURE_TYPE, (KEY_TYPE,), (), public(), None)

    def set_sig_algorithm(self, _):
        pass

    def sign(self, data):
        return signature(data)


class Client(asyncssh.SSHClient):
    def kbdint_auth_requested(self):
        return ""

    def kbdint_challenge_received(self, _name, _instructions, _language, prompts):
        return [sys.stdin.readline().rstrip("\n") for _ in prompts]


async def login():
    options = {"username": "alice", "known_hosts": "/etc/ssh/ssh_known_hosts", "client_factory": Client}
    async with asyncssh.connect("localhost", client_keys=[Pair()], **options) as connection:
        print((await connection.run("echo I-am-inside", check=True)).stdout)


if sys.argv[1] == "key":
    make()
    print(KEY_TYPE.decode(), base64.b64encode(public()).decode())
elif sys.argv[1] == "sign":
    print(armored(sys.stdin.buffer.read()))
else:
    asyncio.run(login())
