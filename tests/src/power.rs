//! Power cuts: the store's filesystem is shut down without flushing anything, and mounted again.

use crate::{Sandbox, deeds::Host, judge::States, sandbox::STATE_DIR};

/// The words that run a program with syncs that do nothing.
pub const SWALLOWED: [&str; 7] =
    ["strace", "-f", "-o", "/dev/null", "-e", "trace=fsync,fdatasync", "-einject=fsync,fdatasync:retval=0"];

impl Sandbox {
    /// Cuts the power of a store on [`crate::State::Ext4`], and restores it.
    pub fn cut_power(&self) {
        let cut = self.install_c("power_cut.c", &[]);
        self.run(&[&cut, STATE_DIR]).success();
        self.run(&["umount", STATE_DIR]).success();
        // The sandbox's own /dev has no loop devices, and only the kernel knows a free one.
        let nodes = "cd /dev && [ -e loop-control ] || { mknod loop-control c 10 237 && for n in $(seq 0 63); do mknod loop$n b 7 $n; done; }";
        self.run(&["sh", "-c", nodes]).success();
        self.run(&["mount", "-o", "loop,noatime", "/run/sandbox/state.img", STATE_DIR]).success();
    }
}

impl Host {
    /// Runs the action under other programs and cuts the power once it reports success. Returns the
    /// violations.
    #[must_use]
    pub fn do_and_cut(&self, under: &[&str], states: &States) -> Vec<String> {
        self.restore();
        let told = self.act(under);
        self.sandbox.cut_power();
        if !told.done {
            return vec![format!("it was not done: {}", told.shown)];
        }
        self.judge(&told, states)
    }
}
