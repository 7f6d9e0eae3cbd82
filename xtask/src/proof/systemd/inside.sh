# Runs as root in a booted system, whose users and files it changes. Prints a line for each result:
# NAME=VALUE.
set -u
say() { printf '%s=%s\n' "$1" "$2"; }
as_alice() { setpriv --reuid alice --regid alice --init-groups -- "$@"; }
# Tries to enrol with this password; prints whether the key was shown.
enrol() { case "$(printf '%s\nq\n' "$1" | as_alice timeout 60 qrtotp enroll --qr none 2>&1)" in *"Key: "*) echo key ;; *"needs your password"*) echo refused ;; *) echo other ;; esac; }
# Waits, for at most this many seconds, until the broker's unit is in this state.
comes() { for _ in $(seq "$1"); do [ "$(systemctl is-active qrtotpd.service)" = "$2" ] && return; sleep 1; done; }
override() { mkdir -p /etc/systemd/system/qrtotpd.service.d; cat >/etc/systemd/system/qrtotpd.service.d/proof.conf; systemctl daemon-reload; systemctl stop qrtotpd.service 2>/dev/null; }

# The drop-in that the unit's first comment names for this purpose.
drop_in() { echo '[Service]'; sed -n "/^# - $1/,/^# - /s/^#       //p" "/usr/lib/systemd/system/${2:-qrtotpd.service}"; }

useradd --create-home --shell /bin/bash alice
echo 'alice:correct horse 7' | chpasswd
useradd bobby
KEY=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ
for user in root bobby; do
    echo "otpauth://totp/Tests:keeper?secret=$KEY&issuer=Tests" | qrtotp import uri $user --unused
done
systemctl enable --now qrtotpd.socket qrtotp-watch.service qrtotp-metrics.timer

say version "$(. /etc/os-release; echo "$PRETTY_NAME"), systemd $(systemctl --version | sed -n '1s/systemd \([0-9]*\).*/\1/p')"
say before "$(systemctl is-active qrtotpd.service)"
say status "$(as_alice qrtotp status | head -n 1)"
say after "$(systemctl is-active qrtotpd.service)"
say exposure "$(systemd-analyze security qrtotpd.service | sed -n 's/.*exposure level for qrtotpd.service: \([0-9.]*\).*/\1/p')"
say wrong_password "$(enrol 'wrong horse')"
say right_password "$(enrol 'correct horse 7')"

chmod 0000 /etc/shadow
mv /usr/sbin/unix_chkpwd /usr/sbin/unix_chkpwd.real
printf '#!/bin/sh\necho ran >>/var/lib/qrtotp/helper\nexec /usr/sbin/unix_chkpwd.real "$@"\n' >/usr/sbin/unix_chkpwd
chmod 755 /usr/sbin/unix_chkpwd
: >/var/lib/qrtotp/helper
say shadow_0000 "$(enrol 'correct horse 7')"
say helper_runs "$(wc -l </var/lib/qrtotp/helper)"
mv /usr/sbin/unix_chkpwd.real /usr/sbin/unix_chkpwd
drop_in "a .etc.shadow" | override
say shadow_0000_with_drop_in "$(enrol 'correct horse 7')"
chmod 0640 /etc/shadow

cp /etc/pam.d/qrtotp /root/qrtotp.pam
cat >/etc/pam.d/qrtotp <<'F'
auth required pam_faillock.so preauth
auth [success=1 default=ignore] pam_unix.so nodelay
auth [default=die] pam_faillock.so authfail
auth required pam_faillock.so authsucc
account required pam_faillock.so
account required pam_unix.so
F
tally() { faillock --user alice | grep -c '^20'; }
override <<'F'
F
enrol 'wrong horse' >/dev/null
say faillock_as_shipped "$(tally)"
faillock --user alice --reset
rm -f /run/faillock/alice; install -m 0600 -o alice -g alice /dev/null /run/faillock/alice
enrol 'wrong horse' >/dev/null
say faillock_as_shipped_own_file "$(tally)"
drop_in pam_faillock | override
enrol 'wrong horse' >/dev/null
say faillock_with_drop_in_own_file "$(tally)"
rm -f /run/faillock/alice
enrol 'wrong horse' >/dev/null
owner=$(stat -c %U /run/faillock/alice) # before the command `faillock` changes it
say faillock_with_drop_in "$(tally) $owner"
say faillock_right_password "$(enrol 'correct horse 7')"
cp /root/qrtotp.pam /etc/pam.d/qrtotp

override <<'F'
[Service]
ExecStart=
ExecStart=/usr/sbin/qrtotpd --idle-exit 1
F
as_alice qrtotp status >/dev/null
comes 20 inactive
say idle "$(systemctl is-active qrtotpd.service)"
say again "$(as_alice qrtotp status | head -n 1)"
systemctl kill --signal=KILL qrtotpd.service
comes 10 failed
say after_a_crash "$(as_alice qrtotp status | head -n 1)"
systemctl stop qrtotpd.service

mv /usr/sbin/qrtotpd /usr/sbin/qrtotpd.real
printf '#!/bin/sh\necho start >>/var/lib/qrtotp/starts\nexit 2\n' >/usr/sbin/qrtotpd
chmod 755 /usr/sbin/qrtotpd
: >/var/lib/qrtotp/starts
as_alice timeout 5 qrtotp status >/dev/null
say starts_in_5_s "$(wc -l </var/lib/qrtotp/starts)"
say socket "$(systemctl is-active qrtotpd.socket)"
mv /usr/sbin/qrtotpd.real /usr/sbin/qrtotpd
say repaired "$(as_alice qrtotp status | head -n 1)"

metrics=/var/lib/prometheus/node-exporter/qrtotp.prom
for _ in $(seq 90); do [ -s $metrics ] && break; sleep 1; done
say metrics "$(stat -c '%A %U' $metrics), $(grep '^qrtotp_accounts{standing="enrolled"}' $metrics)"

# A code that is given again from another network.
echo 'auth required pam_qrtotp.so' >/etc/pam.d/proof
code=$(oathtool --totp --base32 "$KEY")
login() { printf '%s\n' "$code" | pamtester -I "rhost=$1" proof bobby authenticate >/dev/null 2>&1 && echo in || echo refused; }
say logins "$(login 192.0.2.7), $(login 203.0.113.9)"
uid=$(stat -c %u "/proc/$(systemctl show --property=MainPID --value qrtotp-watch.service)")
# The range of DynamicUser=.
[ "$uid" -ge 61184 ] && [ "$uid" -le 65519 ] && say watch_user 'its own' || say watch_user "$uid"
anomaly() { journalctl --no-pager --output=cat --unit=qrtotp-watch.service | grep -o 'severity=alert rule=intercepted .* from=[^ ]*'; }
for _ in $(seq 100); do anomaly >/dev/null && break; sleep 0.2; done
say watch_says "$(anomaly || systemctl status qrtotp-watch.service | tr '\n' ' ')"

# The next run goes on from the file and counts the logins.
for _ in $(seq 90); do grep -q '^qrtotp_logins_total{.*"accepted"' $metrics && break; sleep 1; done
served() { exec 3<>/dev/tcp/127.0.0.1/9100 && printf 'GET /metrics HTTP/1.0\r\n\r\n' >&3 && grep '^qrtotp_logins_total{.*"accepted"' <&3; }
say served "$(served 2>&1)"

# The program of the unit's comment says what it got, who it is, and what it can do: as shipped, and with the
# settings for one that speaks to a server.
cat >/usr/local/bin/tell <<'F'
#!/bin/bash
got=$(cat)
case $got in '{'*'"rule":"intercepted"'*'}') got=json ;; esac
uid=$(id -u); [ "$uid" -ge 61184 ] && [ "$uid" -le 65519 ] && uid=its-own
secrets=none
for file in /var/lib/qrtotp/accounts/*/state /var/lib/qrtotp/accounts/root/state /etc/qrtotp/seal.key /etc/shadow; do
    head -c 1 "$file" >/dev/null 2>&1 && secrets=$file
done
server=refused
(exec 3<>/dev/tcp/127.0.0.1/9100) 2>/dev/null && server=reached
echo "$got, $uid, $*, secrets $secrets, server $server" >/var/lib/qrtotp-watch/told
F
chmod 755 /usr/local/bin/tell
cp /etc/pam.d/proof /etc/pam.d/hooked
tells() { # for a user whose code is given again elsewhere, with these drop-ins
    user=$1; shift
    mkdir -p /etc/systemd/system/qrtotp-watch.service.d; rm -f /var/lib/qrtotp-watch/told
    for what in "$@"; do drop_in "$what" qrtotp-watch.service; done >/etc/systemd/system/qrtotp-watch.service.d/proof.conf
    systemctl daemon-reload; systemctl restart qrtotp-watch.service
    useradd "$user"
    echo "otpauth://totp/Tests:keeper?secret=$KEY&issuer=Tests" | qrtotp import uri "$user" --unused
    code=$(oathtool --totp --base32 "$KEY")
    for host in 192.0.2.7 203.0.113.9; do echo "$code" | pamtester -I "rhost=$host" hooked "$user" authenticate; done
    for _ in $(seq 100); do [ -s /var/lib/qrtotp-watch/told ] && break; sleep 0.2; done
    cat /var/lib/qrtotp-watch/told
}
say hook "$(tells carol 'a program' 2>/dev/null | tail -n 1)"
say hook_with_network "$(tells david 'a program' 'one that speaks' 2>/dev/null | tail -n 1)"

# As if the host had been off at the last full hour.
mkdir -p /etc/systemd/system/qrtotp-checkpoint.timer.d /var/lib/systemd/timers
printf '[Timer]\nRandomizedDelaySec=0\n' >/etc/systemd/system/qrtotp-checkpoint.timer.d/proof.conf
touch -d '2 hours ago' /var/lib/systemd/timers/stamp-qrtotp-checkpoint.timer
systemctl daemon-reload
systemctl enable --now qrtotp-checkpoint.timer
logged() { journalctl --no-pager --output=cat SYSLOG_IDENTIFIER=qrtotp | grep -c '^event=checkpoint .* seq='; }
for _ in $(seq 100); do logged >/dev/null && break; sleep 0.2; done
say checkpoint "$(ls /var/lib/qrtotp/checkpoints | grep -c "^[0-9]") kept, $(logged) logged"
