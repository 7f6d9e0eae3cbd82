//! The module's allocator, which wipes memory before it returns it to the system's, and the wiping of the
//! stack.

use std::alloc::{GlobalAlloc, Layout};
use std::hint::black_box;
use std::mem::MaybeUninit;
use std::ptr;

/// An allocator that passes on to another one and wipes freed memory. Growing a block allocates a new one,
/// copies, and wipes the old one: the default `realloc`.
///
/// Large blocks, which are Argon2's, come from the kernel: freeing one would make glibc keep as much in the
/// application's heap from then on (`M_MMAP_THRESHOLD` in mallopt(3)).
pub(crate) struct Wiping<A>(pub(crate) A);

fn is_large(layout: &Layout) -> bool {
    layout.size() >= 1 << 20 && layout.align() <= 4096
}

// SAFETY: every block is either the inner allocator's, which gets it back with the layout that it was
// requested with, or a separate mapping.
unsafe impl<A: GlobalAlloc> GlobalAlloc for Wiping<A> {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if !is_large(&layout) {
            // SAFETY: the caller's promise.
            return unsafe { self.0.alloc(layout) };
        }
        let (access, kind) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
        // SAFETY: a new private mapping touches nothing that exists.
        let block = unsafe { libc::mmap(ptr::null_mut(), layout.size(), access, kind, -1, 0) };
        if block == libc::MAP_FAILED { ptr::null_mut() } else { block.cast() }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller gives back a live block of this layout, so its bytes are ours to write. A large
        // one is a whole mapping, whose pages are not seen again.
        unsafe {
            if is_large(&layout) {
                libc::munmap(block.cast(), layout.size());
            } else {
                libc::explicit_bzero(block.cast(), layout.size());
                self.0.dealloc(block, layout);
            }
        }
    }
}

/// Bytes of stack that are wiped. A login reached 16 KB below libpam, a recovery code 19 KB; libpam itself,
/// when it reports to the audit system, 28 KB. A thread with less stack than this could not run any login.
const STACK: usize = 20 * 1024;

/// Wipes the stack below the caller, with the remains of hashes, ciphers and moves.
#[inline(never)]
pub(crate) fn wipe_stack() {
    // More than a register at a time: a loop over words takes three times as long. Not memset: callgrind
    // counts each byte of its `rep stosb`.
    type Line = [u64; 8];
    const LINES: usize = STACK / size_of::<Line>();
    let mut stack = MaybeUninit::<[Line; LINES]>::uninit();
    let first = stack.as_mut_ptr().cast::<Line>();
    for line in 0..LINES {
        // SAFETY: the line is within the array. Volatile, so that it stays.
        unsafe { first.add(line).write_volatile([0; 8]) };
    }
    black_box(&stack);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::alloc::System;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// Counts the freed bytes, and those of them that are not zero.
    #[derive(Default)]
    struct Counting {
        freed: AtomicUsize,
        dirty: AtomicUsize,
    }

    // SAFETY: all blocks are the system's.
    unsafe impl GlobalAlloc for Counting {
        unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
            // SAFETY: the caller's promise.
            unsafe { System.alloc(layout) }
        }

        unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
            // SAFETY: the block is live and was filled by the test.
            let bytes = unsafe { std::slice::from_raw_parts(block, layout.size()) };
            self.freed.fetch_add(bytes.len(), Ordering::Relaxed);
            self.dirty.fetch_add(bytes.iter().filter(|byte| **byte != 0).count(), Ordering::Relaxed);
            // SAFETY: the caller's promise.
            unsafe { System.dealloc(block, layout) };
        }
    }

    #[test]
    fn a_large_block_leaves_nothing_in_the_heap() {
        let heap = Wiping(Counting::default());
        let layout = Layout::from_size_align(19 << 20, 64).unwrap();
        // SAFETY: the block is filled within its layout and given back once.
        unsafe {
            let block = heap.alloc(layout);
            block.write_bytes(0xa5, layout.size());
            heap.dealloc(block, layout);
        }
        assert_eq!(heap.0.freed.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn whatever_is_freed_grown_or_shrunk_was_wiped() {
        let heap = Wiping(Counting::default());
        for (size, align) in [(1, 1), (16, 16), (40, 8), (64, 64), (200_000, 4096)] {
            let layout = Layout::from_size_align(size, align).unwrap();
            // SAFETY: the layouts have a size; each block is filled within it and given back once, with its
            // last layout.
            unsafe {
                let block = heap.alloc(layout);
                block.write_bytes(0xa5, size);
                let block = heap.realloc(block, layout, 2 * size);
                assert_eq!(std::slice::from_raw_parts(block, size), vec![0xa5; size]);
                block.write_bytes(0xa5, 2 * size);
                let doubled = Layout::from_size_align(2 * size, align).unwrap();
                let block = heap.realloc(block, doubled, size);
                heap.dealloc(block, layout);
            }
            assert_eq!(heap.0.freed.swap(0, Ordering::Relaxed), 4 * size);
        }
        assert_eq!(heap.0.dirty.load(Ordering::Relaxed), 0);
    }
}
