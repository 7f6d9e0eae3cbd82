# Runs as root in a booted system, whose users and files it changes. Prints a line for each result:
# NAME=VALUE.
set -u
exec 2>>/root/seen
say() { printf '%s=%s\n' "$1" "$2"; }
whole() { qrtotp audit verify "$@" | grep -q 'Nothing was changed' && echo 'nothing changed' || qrtotp audit verify "$@"; }
# Somebody becomes the account with its next code.
become() { printf '%s\n' "$(oathtool --totp --base32 "$KEY")" | su -s /bin/sh -c 'echo in' "$1" 2>/dev/null; }
# The lines of the journal about logins of the account.
lines() { journalctl --sync; journalctl --output="$2" --no-pager SYSLOG_FACILITY=10 | grep "event=login result=accepted .*user=$1 "; }

export KEY=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ
systemctl stop syslog.socket rsyslog.service
for user in alice bobby carol david; do
    useradd --create-home --shell /bin/bash $user
done
for user in bobby carol david; do
    echo "otpauth://totp/Tests:$user?secret=$KEY&issuer=Tests" | qrtotp import uri $user --unused
done
printf 'auth required pam_qrtotp.so\naccount required pam_permit.so\nsession required pam_permit.so\n' >/etc/pam.d/su
systemctl enable --now qrtotpd.socket

say version "$(. /etc/os-release; echo "$PRETTY_NAME"), systemd $(systemctl --version | sed -n '1s/systemd \([0-9]*\).*/\1/p')"
become bobby >/dev/null
fields=$(journalctl --sync; journalctl --output=verbose --no-pager QRTOTP_USER=bobby QRTOTP_EVENT=login SYSLOG_IDENTIFIER=su)
[ "$(lines bobby cat | wc -l)" = 1 ] && case "$fields" in
    *_TRANSPORT=journal*) say transport "by journald's own socket, once, with fields" ;;
    *) say transport "$fields" ;;
esac
setpriv --reuid alice --regid alice --init-groups -- qrtotp enroll --qr none </dev/null >/dev/null 2>&1
for _ in $(seq 50); do
    journalctl --quiet --no-pager SYSLOG_IDENTIFIER=qrtotpd QRTOTP_USER=alice | grep -q . && break
    sleep 0.1
done
case "$(journalctl --sync; journalctl --output=verbose --no-pager SYSLOG_IDENTIFIER=qrtotpd QRTOTP_USER=alice)" in
    *_TRANSPORT=journal*) say broker "by journald's own socket" ;;
    *) say broker "$(journalctl --output=verbose --no-pager SYSLOG_IDENTIFIER=qrtotpd)" ;;
esac
say before "$(whole)"

# The suspect's own session.
ssh-keygen -q -t ed25519 -N '' -f /root/key
install -d -m 0700 -o alice -g alice /home/alice/.ssh
install -m 0600 -o alice -g alice /root/key.pub /home/alice/.ssh/authorized_keys
as_alice() { ssh -q -i /root/key -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null alice@127.0.0.1 "$@"; }
ip link set lo up 2>/dev/null
systemctl start ssh.service
cat >/home/alice/flood.pl <<'F'
use Socket;
socket(my $log, AF_UNIX, SOCK_DGRAM, 0) or die;
connect($log, sockaddr_un("/run/systemd/journal/dev-log")) or die;
for (1 .. 60000) { send($log, "<86>flood: $_", 0) or die "$!" }
F
cat >/home/alice/attack.sh <<'F'
grep -o 'session-[^/]*\.scope' /proc/self/cgroup | head -n 1
perl /home/alice/flood.pl || echo 'the flood failed'
F
chmod 755 /home/alice; chmod 644 /home/alice/*.pl /home/alice/*.sh
code=$(oathtool --totp --base32 "$KEY")
seen=$(as_alice "sh /home/alice/attack.sh; echo $code | su -s /bin/sh -c 'echo in' carol 2>/dev/null")
case "$seen" in session-*.scope*) say scope "a scope of its own" ;; *) say scope "$seen" ;; esac
journalctl --sync
kept=$(journalctl --no-pager --output=cat --identifier=flood | wc -l)
[ "$kept" -gt 0 ] && [ "$kept" -lt 60000 ] && say flood 'kept in part' || say flood "kept: $kept"
say login "$(echo "$seen" | tail -n 1)"
say dropped "$(lines carol cat | wc -l) times"
sleep 11 # a later line may be on its way
found=$(qrtotp audit verify)
say named "$(echo "$found" | grep -o '^[0-9]* lost')"
lost=$(echo "$found" | sed -n 's/^carol seq [0-9]*: lost; the store has it: //p')
repaired=$(qrtotp audit repair)
say repaired "${repaired% are left*}"
logged=$(lines carol cat)
[ -n "$lost" ] && [ "$logged" = "$lost detail=\"recovered by qrtotp audit repair\"" ] && say word_for_word "the one of the account's state" || say word_for_word "$logged, not $lost"
say after "$(whole)"

systemctl start syslog.socket rsyslog.service
become david >/dev/null
for _ in $(seq 50); do grep -q 'event=login' /var/log/auth.log && break; sleep 0.1; done
in_file=$(grep -E ' su\[[0-9]+\]: pam_qrtotp\(su:auth\): event=login result=accepted .*user=david ' /var/log/auth.log)
[ "$(echo "$in_file" | wc -l)" = 1 ] && [ -n "$in_file" ] && say rsyslog 'once, as `su[PID]: pam_qrtotp(su:auth): `' || say rsyslog "$(tail -n 3 /var/log/auth.log)"
say of_both "$(qrtotp audit --user david --event login | wc -l) times"
say proven "$(whole)"
