#!/bin/sh
# How cargo runs the tests of a changed core: BINARY OWN. Those whose names begin with OWN, then the quick ones, then those that
# hash dozens of recovery codes; the first that fails ends it. A test that hangs has failed, too. (libtest stops at the first
# failure only where it takes this for a nightly compiler.)
set -eu
binary=$1 own=$2
export RUSTC_BOOTSTRAP=1
# A minute each. The model has a store of its own; what syncs do only a power cut tells, which is the recorder's.
without='--skip flow::tests::model --skip flow::tests::recorder'
slow='flow::tests::resume flow::tests::enroll flow::tests::admin flow::tests::owner flow::tests::import account::recovery
    guessed_recovery_codes_wait qr::'
case $own in
store::*)
    without='--skip flow::tests::model'
    slow="$slow flow::tests::recorder"
    ;;
esac
skip_slow=
for name in $slow; do skip_slow="$skip_slow --skip $name"; done

some() {
    seconds=$1
    shift
    # shellcheck disable=SC2086
    timeout --foreground "$seconds" "$binary" -Z unstable-options --fail-fast --quiet $without "$@"
}

if [ "$own" = text::only ]; then # what notices nothing
    some 60 text::
    exit
fi
some 60 "$own" $skip_slow
some 120 $skip_slow
# shellcheck disable=SC2086
some 400 $slow
