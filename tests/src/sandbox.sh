# The first process of a sandbox. It runs in fresh mount, net, pid, ipc and uts namespaces, turns them into a
# private host and then waits: when the harness closes standard input, or dies, it ends and the kernel takes
# every process and every mount of the sandbox with it.
#
# Environment: STATE_FS (tmpfs | ext4 | directory), STATE_OPTIONS (mount options; the directory),
# STATE_SIZE (for ext4), ROOT (a directory with another system's files, or empty: the machine's own).
set -euo pipefail
umask 022
export PATH=/usr/sbin:/usr/bin:/sbin:/bin

# The pid that the harness sees: /proc is still the outer one here.
read -r outer_pid _ </proc/self/stat

mount --make-rprivate /
if [ -n "$ROOT" ]; then
    mount -t tmpfs -o mode=755 layer /mnt
    mkdir /mnt/upper /mnt/work /mnt/root
    mount -t overlay -o "lowerdir=$ROOT,upperdir=/mnt/upper,workdir=/mnt/work" root /mnt/root
    cd /mnt/root
    pivot_root . mnt
    cd /
fi
mount -t proc proc /proc
[ -z "$ROOT" ] || umount -l /mnt
mount -t tmpfs -o mode=755 run /run
mkdir -p /run/lock /run/sshd /run/sudo /run/sandbox
chmod 700 /run/sandbox

# Before the layers are mounted, so that its writes reach its disk.
if [ "$STATE_FS" = directory ]; then
    mkdir /run/sandbox/state
    mount --bind "$STATE_OPTIONS" /run/sandbox/state
fi

# Writes to these directories go to a tmpfs; the host's own directory is only read.
security=$(dirname "$(find /usr/lib/*/security /usr/lib/security /usr/lib64/security -name pam_unix.so 2>/dev/null | head -n 1)")
layer=0
[ -n "$ROOT" ] || for directory in /etc /var /usr/local /usr/share/pam-configs "$security"; do
    layer=$((layer + 1))
    mkdir -p "/run/sandbox/$layer/upper" "/run/sandbox/$layer/work"
    mount -t overlay -o "lowerdir=$directory,upperdir=/run/sandbox/$layer/upper,workdir=/run/sandbox/$layer/work" \
        overlay "$directory"
done

# The records need a real filesystem: writing in place on an overlay fails when the disk is full.
case "$STATE_FS" in
tmpfs)
    mkdir -p /var/lib/qrtotp
    mount -t tmpfs -o "mode=700,$STATE_OPTIONS" state /var/lib/qrtotp
    ;;
ext4)
    mkdir -p /var/lib/qrtotp
    truncate -s "$STATE_SIZE" /run/sandbox/state.img
    mkfs.ext4 -q -F -m 0 /run/sandbox/state.img
    mount -o "loop,$STATE_OPTIONS" /run/sandbox/state.img /var/lib/qrtotp
    chmod 700 /var/lib/qrtotp
    ;;
directory)
    mkdir -p /var/lib/qrtotp
    mount --move /run/sandbox/state /var/lib/qrtotp
    ;;
esac

mount -t tmpfs -o mode=755 dev /mnt
for node in null:1:3 zero:1:5 full:1:7 random:1:8 urandom:1:9 tty:5:0; do
    IFS=: read -r name major minor <<<"$node"
    mknod -m 666 "/mnt/$name" c "$major" "$minor"
done
mkdir /mnt/pts /mnt/shm
mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts /mnt/pts
chmod 1777 /mnt/shm
ln -s pts/ptmx /mnt/ptmx
ln -s /proc/self/fd /mnt/fd
ln -s /proc/self/fd/0 /mnt/stdin
ln -s /proc/self/fd/1 /mnt/stdout
ln -s /proc/self/fd/2 /mnt/stderr
mount --move /mnt /dev

mount -t tmpfs -o mode=1777 tmp /tmp
mount -t tmpfs -o mode=755 home /home
mount -t tmpfs -o mode=700 root /root

hostname sandbox
printf '127.0.0.1 localhost sandbox\n' >/etc/hosts
ip link set lo up

echo "security $security"
echo "ready $outer_pid"
# While it waits here, bash reaps orphans of this pid namespace.
while read -r _; do :; done
