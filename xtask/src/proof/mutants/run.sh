#!/bin/sh
# How cargo runs the tests of one crate after a change: BINARY OWN, where OWN is CRATE::MODULE of the
# change. In its own crate the tests of the module come first; then the quick ones, then those that hash
# dozens of recovery codes. The first failure ends the run. A test that hangs counts as failed. (libtest
# stops at the first failure only if it takes this for a nightly compiler.)
set -eu
binary=$1 own=$2
export RUSTC_BOOTSTRAP=1
# A minute each. The model has a separate store; only the recorder's power cuts test the syncs.
without='--skip tests::model --skip tests::recorder'
slow='tests::resume tests::enroll tests::admin tests::self_service tests::import recovery:: guessed_recovery_codes_wait qr::'
case $own in
store::*)
    without='--skip tests::model'
    slow="$slow tests::recorder"
    ;;
esac
crate=$(basename "$binary")
crate=${crate#qrtotp_} crate=${crate%-*}
skip_slow=
for name in $slow; do skip_slow="$skip_slow --skip $name"; done

some() {
    seconds=$1
    shift
    # shellcheck disable=SC2086
    timeout --foreground "$seconds" "$binary" -Z unstable-options --fail-fast --quiet $without "$@"
}

if [ "$own" = values::only ]; then # what notices nothing
    [ "$crate" != values ] || some 60 text::
    exit
fi
[ "$crate" != "${own%%::*}" ] || some 60 "${own#*::}" $skip_slow
some 120 $skip_slow
# shellcheck disable=SC2086
some 400 $slow
