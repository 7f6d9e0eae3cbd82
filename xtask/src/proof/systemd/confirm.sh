# Runs as root at both boots of a system, whose clock it changes for single commands only. Prints a line for
# each result: NAME=VALUE.
set -u
say() { printf '%s=%s\n' "$1" "$2"; }
# Logs in with a wrong code, under a command if there is one; prints reason and rule of its log line.
login() {
    echo 000000 | "$@" pamtester proof bobby authenticate >/dev/null 2>&1
    journalctl --sync
    journalctl --no-pager --output=cat --grep 'event=login' | tail -n 1 | grep -o 'reason=[a-z_]*\|rule=[a-z]*' | paste -sd ' '
}

if [ ! -e /root/rebooted ]; then
    touch /root/rebooted
    useradd bobby
    echo 'otpauth://totp/Tests:keeper?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Tests' | qrtotp import uri bobby --unused
    echo 'auth required pam_qrtotp.so' >/etc/pam.d/proof
    printf '[[rule]]\nname = "unconfirmed"\nuser = ["bobby"]\nthen = "deny"\n' >/etc/qrtotp/qrtotp.toml
    qrtotp config apply --confirm 1m --force 'the proof has no admin' >/dev/null 2>&1
    date +%s >/root/applied
    say before "$(login)"
    exit
fi

say boots "$(journalctl --list-boots --no-pager 2>/dev/null | grep -c '^ *-\?[0-9]')"
left=$(($(cat /root/applied) + 60 - $(date +%s)))
[ "$left" -gt 3 ] && say after_reboot "$(login)" || say after_reboot "the boot took too long"
say clock_set_back "$(login faketime -f -1h)"
say clock_set_forward "$(login faketime -f +1h)"
sleep "$((left > 0 ? left + 2 : 0))"
say ended "$(login)"
# No root command ran since: a clock set back revives it, until the next one removes it.
say revived "$(login faketime -f -62s)"
qrtotp config list >/dev/null
say removed "$(login faketime -f -62s)"
