"""Cockpit's login page on a terminal: shows what its login.js shows, and sends what that sends."""

import base64
import http.client
import json
import sys


def ask(prompt):
    # The page takes each byte for a character, and shows a prompt as one paragraph.
    print(" ".join(prompt.decode("latin-1").split()), end=" ", flush=True)
    return sys.stdin.readline().rstrip("\n")


def encode(text):
    return base64.b64encode(text.encode()).decode()


authorization = "Basic " + encode(sys.argv[1] + ":" + ask(b"Password:"))
while True:
    connection = http.client.HTTPConnection("127.0.0.1", 9090)
    # A browser sends no space at the end of a header.
    connection.request("GET", "/cockpit/login", headers={"Authorization": authorization.strip()})
    response = connection.getresponse()
    body = response.read()
    if response.status == 200:
        print("logged in")
        sys.exit()
    challenge = response.getheader("WWW-Authenticate", "").split()
    if challenge[:1] != ["X-Conversation"]:
        sys.exit(f"{response.status} {response.reason}")
    message = json.loads(body)
    print(message.get("error") or message.get("message") or "")
    _, conversation, prompt = challenge
    authorization = f"X-Conversation {conversation} {encode(ask(base64.b64decode(prompt)))}"
