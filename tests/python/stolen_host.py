#!/usr/bin/python3
"""What root of a stolen login host can try: all that the host has, and nothing of our programs.

    stolen_host.py attack VERIFIER OTHERS-ACCOUNT UID CODE USED-CODE ACCOUNT
    stolen_host.py guess COUNT RATE ACCOUNT...

`attack` prints NAME=RESULT for each try. `guess` sends wrong codes through the relay, so many a second, of
these accounts in turn, and prints how many were denied.
"""

import base64
import hashlib
import os
import socket
import ssl
import struct
import sys
import threading
import time

RELAY = "/run/qrtotp/relay"
FILES = "/etc/qrtotp/relay/"
VERIFY, JOIN, RENEW, REPORT = 9, 10, 11, 12
REFUSED, VERDICT = 50, 52
VERDICTS = {0: "denied", 1: "accepted", 2: "ignored"}


def sized(value):
    return struct.pack(">H", len(value)) + value


def frame(kind, body, version=2):
    return struct.pack(">BBH", version, kind, len(body)) + body


def read(stream):
    """A frame's kind and body, or None if the other end closed the connection."""
    data = b""
    while len(data) < 4 or len(data) < 4 + struct.unpack(">H", data[2:4])[0]:
        try:
            more = stream.recv(65536)
        except OSError:
            return None
        if not more:
            return None
        data += more
    return data[1], data[4:]


def signed(account, uid, answer, rhost=b"", nullok=0, key=None):
    """The body of a request for a verdict, as the module would send it."""
    key = key or open("/etc/qrtotp/verdict.key", "rb").read()
    body = os.urandom(16) + sized(account) + struct.pack(">I", uid)
    body += sized(b"sshd") + sized(b"ssh") + sized(rhost) + bytes([nullok, 1]) + sized(b"") + sized(answer)
    return body + hashlib.blake2b(b"q" + body, digest_size=32, key=key).digest()


def pem(name, what):
    data = open(FILES + name, "rb").read()
    if what == "PRIVATE KEY":
        # OpenSSL reads only the older form of the key (RFC 8410 section 7), without the public one.
        data = bytes.fromhex("302e020100300506032b6570") + data[data.index(b"\x04\x22\x04\x20"):][:36]
    return f"-----BEGIN {what}-----\n{base64.encodebytes(data).decode()}-----END {what}-----\n"


def context(files=None):
    """TLS with the host's certificate, with the certificate in `files`, or with none (an empty list)."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    tls.load_verify_locations(cadata=open(FILES + "ca.der", "rb").read())
    if files is None:
        files = ["/tmp/stolen.crt", "/tmp/stolen.key"]
        for path, (name, what) in zip(files, [("host.der", "CERTIFICATE"), ("host.key", "PRIVATE KEY")]):
            with open(path, "w") as file:
                file.write(pem(name, what))
    if files:
        tls.load_cert_chain(*files)
    return tls


def connect(tls, verifier, port=4674, name="verifier.qrtotp.internal"):
    plain = socket.create_connection((verifier, port), timeout=10)
    return tls.wrap_socket(plain, server_hostname=name)


def ask(tls, verifier, kind, body, version=2):
    """The kind and body of the answer on a connection of its own; None: closed."""
    try:
        with connect(tls, verifier) as stream:
            stream.sendall(frame(kind, body, version))
            return read(stream)
    except OSError:
        return None


def verdict(answer):
    if answer is None:
        return "closed"
    kind, body = answer
    return VERDICTS[body[0]] if kind == VERDICT else "refused" if kind == REFUSED else f"kind {kind}"


def kinds(tls, verifier, account):
    """The kinds of all frames, of both protocols, that get anything but a refusal."""
    told = []
    for kind in set(range(256)) - {RENEW}:
        for version, body in ((1, sized(account)), (2, b""), (2, sized(account) + bytes(64))):
            answer = ask(tls, verifier, kind, body, version)
            # A report of any version is taken: it changes nothing but the time at which we were seen.
            if answer and answer[0] != REFUSED and (kind, answer[0]) != (REPORT, 49):
                told.append(f"{version}:{kind}:{answer[0]}")
    return ",".join(told)


def strange_certificate():
    """A certificate for another host's name by a CA of our own."""
    os.system("openssl req -x509 -newkey ed25519 -nodes -subj /CN=web2 -addext subjectAltName=DNS:web2 "
              "-keyout /tmp/own.key -out /tmp/own.crt 2>/dev/null")
    return context(["/tmp/own.crt", "/tmp/own.key"])


def etcd(tls, verifier):
    try:
        tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
        with connect(tls, "127.0.0.1", 2379) as stream:
            stream.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0]))
            return "open" if stream.recv(1) else "closed"
    except OSError:
        return "closed"


def attack(verifier, others, uid, code, used, own):
    tls, uid = context(), int(uid)
    others, code, used, own = (text.encode() for text in (others, code, used, own))

    def tell(name, value):
        print(f"{name}={value}", flush=True)

    def verify(*arguments, **more):
        return verdict(ask(tls, verifier, VERIFY, signed(*arguments, **more)))

    tell("kinds", kinds(tls, verifier, own))
    tell("other_group", verify(others, uid, code))
    tell("other_group_nullok", verify(others, uid, code, nullok=1))
    tell("used_code", verify(own, uid, used))
    tell("used_code_elsewhere", verify(own, uid, used, rhost=b"192.0.2.7"))
    tell("other_uid", verify(own, 0, code))
    tell("other_key", verify(own, uid, code, key=bytes(32)))
    tell("uninvited", verdict(ask(tls, verifier, JOIN, sized(b"x") + sized(b"web2") + sized(bytes(32)) * 2)))
    renewed = ask(tls, verifier, RENEW, b"")
    tell("renewed_name", "own" if renewed and b"web1" in renewed[1] and b"web2" not in renewed[1] else renewed)
    tell("no_certificate", verdict(ask(context([]), verifier, VERIFY, signed(own, uid, code))))
    tell("own_certificate", verdict(ask(strange_certificate(), verifier, VERIFY, signed(own, uid, code))))
    tell("etcd", etcd(context(), verifier))


def guess(count, rate, accounts):
    """Each account's uid is in /etc/passwd."""
    uids = {line.split(":")[0]: int(line.split(":")[2]) for line in open("/etc/passwd")}
    count, rate, start, lock = int(count), float(rate), time.monotonic(), threading.Lock()
    numbers, told = iter(range(count)), {}

    def work():
        while True:
            with lock:
                number = next(numbers, None)
            if number is None:
                return
            time.sleep(max(0, start + number / rate - time.monotonic()))
            account = accounts[number % len(accounts)]
            rhost = f"198.51.100.{number % 250}".encode()
            with socket.socket(socket.AF_UNIX) as stream:
                stream.settimeout(5)
                stream.connect(RELAY)
                stream.sendall(frame(VERIFY, signed(account.encode(), uids[account], b"000000", rhost)))
                result = verdict(read(stream))
            with lock:
                told[result] = told.get(result, 0) + 1

    workers = [threading.Thread(target=work) for _ in range(16)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    for result, number in told.items():
        print(f"{result}={number}")
    print(f"rate={count / (time.monotonic() - start):.0f}")


if sys.argv[1] == "attack":
    attack(*sys.argv[2:])
else:
    guess(*sys.argv[2:4], sys.argv[4:])
