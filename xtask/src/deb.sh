# Builds and packs on another release's files, with this machine's compiler. Runs in a mount namespace of its own.
#
# From the environment: ROOT (the release's files), SOURCE (the workspace), SYSROOT (rustc's), CRATES (cargo's home), OUT (for the packages).
set -euo pipefail
mount --make-rprivate /
mount --bind "$ROOT" "$ROOT"
cd "$ROOT"
for place in source sysroot crates out build; do mkdir -p "$ROOT/mnt/$place"; done
mount --bind "$SOURCE" mnt/source
mount --bind "$SYSROOT" mnt/sysroot
mount --bind "$CRATES" mnt/crates
mount --bind "$OUT" mnt/out
mount -t proc proc proc
mount --bind /dev dev
# A copy, because the packing writes into debian/. What cargo built there before stays.
find mnt/build -mindepth 1 -maxdepth 1 ! -name target -exec rm -rf {} +
rm -rf mnt/build/target/deb
mkdir -p mnt/build/target/deb
tar --create --directory=mnt/source --exclude=./target --exclude=./fuzz/target --exclude=./.git . | tar --extract --directory=mnt/build
exec chroot . env --ignore-environment \
    HOME=/root PATH=/mnt/sysroot/bin:/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 \
    CARGO_HOME=/mnt/crates CARGO_NET_OFFLINE=true CARGO_TARGET_DIR=/mnt/build/target TARGET=/mnt/build/target \
    DEB_RULES_REQUIRES_ROOT=no DEB_BUILD_OPTIONS=nocheck \
    sh -ec 'cd /mnt/build; debian/rules clean; debian/rules binary; debian/rules clean; cp target/deb/*.deb /mnt/out'
