# Functions for a booted machine; root runs them.
export LANG=C.UTF-8 TERM=xterm DEBIAN_FRONTEND=noninteractive
KEY=$(cat /root/phone 2>/dev/null)
PASSWORD='correct horse 7'
# The code of the step this many steps from now.
code() { oathtool --totp --base32 --now "@$(($(date +%s) + 30 * $1))" "$KEY"; }

# The site before: alice with her password and uid, and keys of root's.
prepare() {
    useradd --uid 1000 --create-home --shell /bin/bash alice
    echo "alice:$PASSWORD" | chpasswd
    mkdir -p -m 700 /root/.ssh
    [ "$1" != v1 ] || ssh-keygen -q -t ed25519 -N '' -f /root/.ssh/id_ed25519
    printf 'Host *\n    StrictHostKeyChecking no\n' >/root/.ssh/config
}

# Types a command on a terminal, and answers the questions of an enrolment with a phone.
type_in() {
    cat >/root/type.exp <<'END'
set timeout 120
set stty_init "rows 40 columns 120"
spawn -noecho bash -c [lindex $argv 0]
expect {
    -re {Key: ([A-Z2-7 ]+)\r} { set key [string map {" " ""} $expect_out(1,string)]; exec echo $key >/root/phone; exp_continue }
    -re {Code: $} { send "[exec oathtool --totp --base32 $key]\r"; exp_continue }
    timeout { exit 124 }
    eof {}
}
exit [lindex [wait] 3]
END
    expect /root/type.exp "$1" >>/root/typed 2>&1 || { tail -20 /root/typed; return 1; }
}

# Logs alice in over loopback with her password and this code. Prints whether that worked, and how often a
# code was asked for.
log_in() {
    printf '#!/bin/sh\ncase "$1" in *ode*) echo asked >>/root/asked; echo "%s" ;; *) echo "%s" ;; esac\n' "$1" "$PASSWORD" >/root/answer
    chmod 755 /root/answer
    : >/root/asked
    said=$(SSH_ASKPASS=/root/answer SSH_ASKPASS_REQUIRE=force timeout 60 ssh -o PubkeyAuthentication=no -o NumberOfPasswordPrompts=1 \
        alice@127.0.0.1 "echo inside" 2>/root/ssh.log)
    case "$said" in inside*) echo "in, $(wc -l </root/asked) codes" ;; *) echo "out, $(wc -l </root/asked) codes" ;; esac
}
