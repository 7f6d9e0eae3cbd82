# Runs as root in a booted system, once for each boot. Prints a line for each result: NAME=VALUE.
set -u
say() { printf '%s=%s\n' "$1" "$2"; }
KEY=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ
PASSWORD='correct horse 7'
# The code of the step this many steps from now.
code() { oathtool --totp --base32 --now "@$(($(date +%s) + 30 * $1))" $KEY; }
files() { (cd /etc && find pam.d ssh -type f -printf '%p %m %u %g ' -exec sha256sum {} \; | sort); }
state() { if [ "$(files)" = "$(cat /root/before)" ]; then echo "as before"; else echo changed; fi; }
# Leftovers of a set-up: its units, and failed units of ours or sshd.
left() { echo "$(ls /etc/systemd/system /etc/systemd/system/*.wants | grep -c qrtotp-setup) units left$(systemctl list-units --failed --plain --no-legend 'qrtotp*' 'ssh*')"; }
apply() { qrtotp setup sshd sudo --apply --confirm 1m >/root/said 2>&1; date +%s >/root/applied; }
# Whether everything is restored 75 s after the last `apply`, but not yet 45 s after it.
rolls_back() {
    early=$(($(cat /root/applied) + 45 - $(date +%s))); [ $early -gt 0 ] && sleep $early
    [ "$(state)" = changed ] || { echo "too early"; return; }
    sleep 30
    echo "$(state), $(left)"
}
# Logs in over loopback with this password and code; whether that worked, and how often a code was asked for.
log_in() {
    printf '#!/bin/sh\ncase "$1" in *code*) echo asked >>/root/asked; echo "%s" ;; *) echo "%s" ;; esac\n' "$2" "$1" >/root/answer
    chmod 755 /root/answer
    : >/root/asked
    way=${3:-keyboard-interactive,password}; shift $(($# > 3 ? 3 : $#))
    said=$(SSH_ASKPASS=/root/answer SSH_ASKPASS_REQUIRE=force timeout 60 ssh -i /root/key -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null \
        -o NumberOfPasswordPrompts=1 -o PreferredAuthentications="$way" alice@127.0.0.1 "echo inside; ${*:-true}" 2>/root/ssh.log)
    case "$said" in inside*) echo "in, $(wc -l </root/asked) codes${said#inside}" ;; *) echo "out, $(wc -l </root/asked) codes" ;; esac
}

newcomer() {
    useradd --create-home --shell /bin/bash --groups sudo alice
    echo "alice:$PASSWORD" | chpasswd
    ssh-keygen -q -t ed25519 -N '' -f /root/key
    install -d -m 700 -o alice /home/alice/.ssh
    install -m 600 -o alice /root/key.pub /home/alice/.ssh/authorized_keys
    say version "$(. /etc/os-release; echo "$PRETTY_NAME"), systemd $(systemctl --version | sed -n '1s/systemd \([0-9]*\).*/\1/p')"
    started=$(date +%s)
    dpkg -i /root/*.deb >/root/dpkg.log 2>&1 || say dpkg "$(cat /root/dpkg.log)"
    files >/root/before
    qrtotp init >/dev/null
    echo "otpauth://totp/Tests:alice?secret=$KEY&issuer=Tests" | qrtotp import uri alice --unused >/dev/null
    say alone "$(log_in "$PASSWORD" none)"
    apply
    say seconds $(($(date +%s) - started))
    say applied "$(state)"
    say wrong "$(log_in "$PASSWORD" 000000)"
    say wrong_password "$(log_in 'wrong horse' "$(code -1)")"
    say rolled_back "$(rolls_back)"
    say alone_again "$(log_in "$PASSWORD" none)"
}

kept() {
    apply
    say second_session "$(log_in "$PASSWORD" "$(code -1)" keyboard-interactive "printf '%s\n%s\n' '$PASSWORD' $(code 0) | sudo -S qrtotp setup --keep 2>/dev/null | sed -n 's/^Kept.*/, kept/p'" | tr -d '\n')"
    sleep 75
    say kept "$(state), $(left)"
    say kept_wrong "$(log_in "$PASSWORD" 000000)"
    say kept_right "$(log_in "$PASSWORD" "$(code 0)")"
    qrtotp setup --undo >/dev/null
    say undone "$(state), $(left)"
}

# SIGKILL once the first file has changed, and once all have.
killed() {
    for option in -t -T; do
        mkdir -p /root/real && mv /usr/sbin/sshd /root/real
        printf '#!/bin/sh\n[ -e /etc/ssh/sshd_config.d/00-qrtotp.conf ] && [ "$1" = %s ] && kill -9 $PPID\nexec /root/real/sshd "$@"\n' $option >/usr/sbin/sshd
        chmod 755 /usr/sbin/sshd
        apply
        mv /root/real/sshd /usr/sbin/sshd
        say "killed$option" "$(state)$(grep ^Done /root/said), $(rolls_back)"
    done
}

case $(cat /root/boots 2>/dev/null) in
'')
    newcomer
    kept
    killed
    apply
    echo 1 >/root/boots
    ;;
1)
    say rebooted "$(state)"
    say rebooted_wrong "$(log_in "$PASSWORD" 000000)"
    say reboot_rolled_back "$(rolls_back)"
    say reboot_alone "$(log_in "$PASSWORD" none)"
    apply
    say off_before "$(state)"
    echo 2 >/root/boots
    ;;
2)
    sleep 5
    say off_rolled_back "$(state), $(left)"
    say off_key "$(log_in none none publickey)"
    say end yes
    ;;
esac
