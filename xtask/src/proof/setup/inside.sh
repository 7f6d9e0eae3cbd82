# Runs as root in a booted system, once for each boot. Prints a line for each result: NAME=VALUE.
set -u
say() { printf '%s=%s\n' "$1" "$2"; }
export LANG=C.UTF-8 TERM=xterm
# The key that alice's phone scanned.
KEY=$(cat /root/phone 2>/dev/null)
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

# Types a command on a terminal, and answers the questions of an enrolment.
type_in() {
    cat >/root/type.exp <<'END'
set timeout 120
set stty_init "rows 40 columns 120"
spawn -noecho sh -c [lindex $argv 0]
expect {
    -re {Key: ([A-Z2-7 ]+)\r} { set key [string map {" " ""} $expect_out(1,string)]; exec echo $key >/root/phone; exp_continue }
    -re {Code: $} { send "[exec oathtool --totp --base32 $key]\r"; exp_continue }
    timeout { exit 124 }
    eof {}
}
exit [lindex [wait] 3]
END
    (cd /root && expect type.exp "$1" >>/root/typed 2>&1)
}

newcomer() {
    useradd --create-home --shell /bin/bash --groups sudo alice
    echo "alice:$PASSWORD" | chpasswd
    ssh-keygen -q -t ed25519 -N '' -f /root/key
    install -d -m 700 -o alice /home/alice/.ssh
    install -m 600 -o alice /root/key.pub /home/alice/.ssh/authorized_keys
    say version "$(. /etc/os-release; echo "$PRETTY_NAME"), systemd $(systemctl --version | sed -n '1s/systemd \([0-9]*\).*/\1/p')"
    # The packages are in target/deb already.
    ln -s /bin/true /usr/local/bin/cargo
    started=$(date +%s) typed=0
    while read -r line; do
        case $line in *--keep*) break ;; esac
        type_in "$line" || say failed "$line: $(tail -3 /root/typed | tr '\n' ' ')"
        typed=$((typed + 1))
        [ $typed = 1 ] && files >/root/before
    done </root/readme
    seconds=$(($(date +%s) - started))
    say seconds $seconds
    say typed "$typed commands, $([ $seconds -le 180 ] && echo at most || echo over) 180 s"
    KEY=$(cat /root/phone)
    say readme_applied "$(state)"
    say readme_wrong "$(log_in "$PASSWORD" 000000)"
    sleep 61
    say second_terminal "$(keep_over_ssh)"
    type_in "qrtotp doctor" && say doctor fine
    say readme_kept "$(state), $(left)"
    type_in "qrtotp setup --undo"
    say readme_undone "$(state), $(left)"
}

keep_over_ssh() {
    log_in "$PASSWORD" "$(code -1)" keyboard-interactive "printf '%s\n%s\n' '$PASSWORD' $(code 0) | sudo -S qrtotp setup --keep 2>/dev/null | sed -n 's/^Kept.*/, kept/p'" | tr -d '\n'
}

unconfirmed() {
    say alone "$(log_in "$PASSWORD" none)"
    apply
    say applied "$(state)"
    say wrong "$(log_in "$PASSWORD" 000000)"
    say wrong_password "$(log_in 'wrong horse' "$(code -1)")"
    say rolled_back "$(rolls_back)"
    say alone_again "$(log_in "$PASSWORD" none)"
}

kept() {
    apply
    say second_session "$(keep_over_ssh)"
    sleep 75
    say kept "$(state), $(left)"
    say kept_wrong "$(log_in "$PASSWORD" 000000)"
    say kept_right "$(log_in "$PASSWORD" "$(code 0)")"
    qrtotp setup --undo >/dev/null
    say undone "$(state), $(left)"
}

# SIGKILL in the private copy, once the first file of the host has changed, and at the trial login, once all
# have.
killed() {
    for host in '' /proc/1/root; do
        mkdir -p /root/real && mv /usr/sbin/sshd /root/real
        printf '#!/bin/sh\n[ -e %s/etc/ssh/sshd_config.d/00-qrtotp.conf ] && [ "$1" = -t ] && kill -9 $PPID\nexec /root/real/sshd "$@"\n' $host >/usr/sbin/sshd
        chmod 755 /usr/sbin/sshd
        apply
        mv /root/real/sshd /usr/sbin/sshd
        if [ "$host" ]; then
            say killed_first "$(state)$(grep ^Done /root/said), $(rolls_back)"
        else
            say killed_copy "$(state)$(grep ^Done /root/said), $(left)"
        fi
    done
    # Its terminal must not end.
    sleep 60 | setsid script -qfc "qrtotp setup sshd sudo --apply --confirm 1m --trial alice" /root/said >/dev/null &
    for _ in $(seq 300); do grep -q 'Password: ' /root/said && break; sleep 0.1; done
    date +%s >/root/applied
    pkill -9 -x qrtotp
    say killed_last "$(state)$(grep ^Done /root/said), $(rolls_back)"
}

# The Ansible role over ssh, as a user with a key and without a code.
play() {
    cat >/root/play.yml <<END
- hosts: all
  become: true
  gather_facts: false
  roles: [/usr/share/doc/qrtotp/examples/ansible/roles/pam_qrtotp]
  vars:
    qrtotp_services: [sshd, sudo]
    qrtotp_exempt_users: [robot]
    qrtotp_confirm: 1m
    qrtotp_debs: [$(ls /root/target/deb/*.deb | paste -sd,)]
END
    ANSIBLE_HOST_KEY_CHECKING=false timeout 300 ansible-playbook -i 127.0.0.1, -u robot --private-key /root/key /root/play.yml >/root/play.log 2>&1
    sed -n 's/.*\(changed=\)\([0-9]*\) *unreachable=\([0-9]*\) *failed=\([0-9]*\).*/\2 \3 \4/p' /root/play.log |
        { read -r changed unreachable failed; echo "$([ "${changed:-0}" -gt 0 ] && echo changed || echo unchanged), ${unreachable:-?} unreachable, ${failed:-?} failed"; }
}
ours() { echo "$(cat /etc/pam.d/sshd /etc/pam.d/sudo | grep -c '^auth.*pam_qrtotp.so') lines"; }

role() {
    useradd --create-home --shell /bin/bash robot
    echo 'robot ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/robot
    install -d -m 700 -o robot /home/robot/.ssh
    install -m 600 -o robot /root/key.pub /home/robot/.ssh/authorized_keys
    say role "$(play)"
    say role_kept "$(ours), $(left)"
    say role_again "$(play)"
    say role_wrong "$(log_in "$PASSWORD" 000000)"
    qrtotp setup --undo >/dev/null
    # From the next start on sshd asks robot, too, so that Ansible's new login fails.
    printf 'Match User robot\n    AuthenticationMethods publickey,keyboard-interactive\n' >/etc/ssh/sshd_config.d/00-asks-robot.conf
    say role_shut_out "$(play), $(ours)"
    rm /etc/ssh/sshd_config.d/00-asks-robot.conf
    sleep 75
    say role_undone "$(ours), $(left)"
    rm -f /etc/ssh/sshd_config.d/01-qrtotp-exempt.conf /etc/qrtotp/conf.d/00-exempt.toml
    systemctl reload ssh
    qrtotp config apply >/dev/null
}

case $(cat /root/boots 2>/dev/null) in
'')
    newcomer
    unconfirmed
    kept
    killed
    role
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
