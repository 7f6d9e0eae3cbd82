/*
 * The effect of a power cut on a mounted ext4: from now on nothing reaches the disk, the log included.
 * ioctl_ext4(2) has no page; the numbers are those of Linux's include/uapi/linux/ext4.h.
 *
 * usage: power_cut DIRECTORY
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define EXT4_IOC_SHUTDOWN _IOR('X', 125, uint32_t)
#define GOING_FLAGS_NOLOGFLUSH 2

int main(int argc, char **argv) {
    uint32_t how = GOING_FLAGS_NOLOGFLUSH;
    int fd = argc == 2 ? open(argv[1], O_RDONLY | O_DIRECTORY) : -1;
    if (fd < 0 || ioctl(fd, EXT4_IOC_SHUTDOWN, &how)) {
        perror("power_cut");
        return 1;
    }
    close(fd);
    return 0;
}
