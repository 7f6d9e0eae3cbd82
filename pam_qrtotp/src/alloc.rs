//! The module's allocator: memory that is wiped when it is freed, kept out of core dumps and swap where limits allow.
//!
//! Ordinary allocations come from an arena inside the module's own image, so that a host short of memory gets a denial
//! from us and not the abort that a failed allocation is in Rust: the largest record and configuration are read and parsed in
//! it. What is larger comes from the kernel: Argon2's memory, which is asked for with `try_reserve`. The arena goes with the
//! module; pages of it that are never touched cost nothing.

use std::alloc::{GlobalAlloc, Layout};
use std::cell::UnsafeCell;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicBool, Ordering};

/// Bytes of the arena; a login holds some ten thousand of them while it waits for its answer.
const ARENA: usize = 2 * 1024 * 1024;
/// Classes of 16, 32, … 262,144 bytes.
const CLASSES: usize = 15;
const SMALLEST: usize = 16;
const LARGEST: usize = SMALLEST << (CLASSES - 1);
/// Blocks are aligned to their size up to this; nothing in the module needs more.
const MAX_ALIGN: usize = 64;
/// How often to try for the book: first at once, then every millisecond. Whoever has it needs a few instructions.
const TRIES: u32 = 300;
const TRIES_AT_ONCE: u32 = 100;

#[repr(align(4096))]
struct Arena(UnsafeCell<[u8; ARENA]>);

/// Free blocks per class, and how much of the arena was ever handed out.
struct Book {
    free: [Option<NonNull<FreeBlock>>; CLASSES],
    used: usize,
}

struct FreeBlock {
    next: Option<NonNull<FreeBlock>>,
}

/// The allocator. One per module image.
pub(crate) struct WipingAllocator {
    arena: Arena,
    book: UnsafeCell<Book>,
    busy: AtomicBool,
    /// The book was held when another thread forked: in this process nobody will ever give it back.
    lost: AtomicBool,
    shielded: AtomicBool,
}

// SAFETY: the book and the arena's blocks are only touched inside `with_book`, or by the block's one owner.
unsafe impl Sync for WipingAllocator {}

impl WipingAllocator {
    pub(crate) const fn new() -> Self {
        Self {
            arena: Arena(UnsafeCell::new([0; ARENA])),
            book: UnsafeCell::new(Book { free: [None; CLASSES], used: 0 }),
            busy: AtomicBool::new(false),
            lost: AtomicBool::new(false),
            shielded: AtomicBool::new(false),
        }
    }

    /// Keeps the arena out of core dumps and, page by page as it is used, in memory. Where a limit forbids that, a
    /// login goes on without it.
    pub(crate) fn shield(&self) {
        if self.shielded.swap(true, Ordering::Relaxed) {
            return;
        }
        let arena = self.arena.0.get().cast::<libc::c_void>();
        // SAFETY: the range is exactly our own arena, page-aligned; neither call changes what is in it.
        unsafe {
            libc::madvise(arena, ARENA, libc::MADV_DONTDUMP);
            libc::syscall(libc::SYS_mlock2, arena, ARENA, libc::MLOCK_ONFAULT);
        }
    }

    fn class(layout: &Layout) -> Option<usize> {
        let size = layout.size().max(layout.align()).max(SMALLEST).next_power_of_two();
        (size <= LARGEST && layout.align() <= MAX_ALIGN)
            .then(|| (size.trailing_zeros() - SMALLEST.trailing_zeros()) as usize)
    }

    /// `None` if the book is lost: then there is no arena.
    fn with_book<T>(&self, f: impl FnOnce(&mut Book) -> T) -> Option<T> {
        let mut tries = 0;
        while self.lost.load(Ordering::Relaxed) || self.busy.swap(true, Ordering::Acquire) {
            tries += 1;
            if tries == TRIES || self.lost.load(Ordering::Relaxed) {
                self.lost.store(true, Ordering::Relaxed);
                return None;
            }
            // SAFETY: both only let time pass.
            unsafe {
                if tries <= TRIES_AT_ONCE {
                    libc::sched_yield()
                } else {
                    libc::usleep(1000)
                };
            }
        }
        // SAFETY: `busy` makes us the only one who holds a reference to the book.
        let result = f(unsafe { &mut *self.book.get() });
        self.busy.store(false, Ordering::Release);
        Some(result)
    }

    /// A block of the class, or null when the arena is used up or lost.
    fn take(&self, class: usize) -> *mut u8 {
        let block = self.with_book(|book| {
            if let Some(block) = book.free[class] {
                // SAFETY: a block on the free list belongs to us and holds a valid `FreeBlock`.
                book.free[class] = unsafe { block.as_ref() }.next;
                return block.as_ptr().cast();
            }
            let size = SMALLEST << class;
            let start = book.used.next_multiple_of(size.min(MAX_ALIGN));
            if start + size > ARENA {
                return ptr::null_mut();
            }
            book.used = start + size;
            // SAFETY: `start + size <= ARENA`, so the result stays inside the arena.
            unsafe { self.arena.0.get().cast::<u8>().add(start) }
        });
        block.unwrap_or(ptr::null_mut())
    }

    /// Takes a block of the class back. Where the book is lost, so is the block.
    fn give_back(&self, block: *mut u8, class: usize) {
        let Some(mut free) = NonNull::new(block.cast::<FreeBlock>()) else { return };
        let _ = self.with_book(|book| {
            // SAFETY: the block is at least 16 bytes, aligned to 16, and nobody's but ours now.
            unsafe { free.as_mut().next = book.free[class] };
            book.free[class] = Some(free);
        });
    }

    fn owns(&self, block: *mut u8) -> bool {
        let start = self.arena.0.get() as usize;
        (start..start + ARENA).contains(&(block as usize))
    }
}

/// Zeroes memory in a way that the compiler may not leave out.
///
/// # Safety
/// `size` bytes at `block` are ours to write.
unsafe fn wipe(block: *mut u8, size: usize) {
    // SAFETY: the caller's promise. The empty assembly is taken to read the memory, so the zeroes must be there.
    unsafe {
        ptr::write_bytes(block, 0, size);
        std::arch::asm!("/* {0} */", in(reg) block, options(nostack, preserves_flags));
    }
}

// SAFETY: blocks are at least as large and as aligned as asked, distinct while they live, and stay valid until freed.
unsafe impl GlobalAlloc for WipingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if let Some(class) = Self::class(&layout) {
            let block = self.take(class);
            if !block.is_null() {
                return block;
            }
        }
        if layout.align() > 4096 {
            return ptr::null_mut();
        }
        // SAFETY: an anonymous private mapping at an address of the kernel's choice touches nothing that exists.
        let mapped = unsafe {
            libc::mmap(
                ptr::null_mut(),
                layout.size(),
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        if mapped == libc::MAP_FAILED {
            return ptr::null_mut();
        }
        // SAFETY: the range is the mapping that we just made.
        unsafe { libc::madvise(mapped, layout.size(), libc::MADV_DONTDUMP) };
        mapped.cast()
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller gives back a live block of this layout.
        unsafe { wipe(block, layout.size()) };
        match Self::class(&layout) {
            Some(class) if self.owns(block) => self.give_back(block, class),
            _ => {
                // SAFETY: a block from outside the arena is a whole mapping of this size.
                unsafe { libc::munmap(block.cast(), layout.size()) };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use qrtotp_core::account::{Credential, CredentialId, Label, Name, Origin, Record, RecordId};
    use qrtotp_core::otp::Params;
    use qrtotp_core::policy::Config;
    use qrtotp_core::store::{Scope, SealKey};
    use std::path::Path;

    #[test]
    fn blocks_are_aligned_distinct_and_wiped_when_freed() {
        static HEAP: WipingAllocator = WipingAllocator::new();
        let mut live = Vec::new();
        for (size, align) in [
            (1, 1),
            (16, 16),
            (17, 1),
            (40, 8),
            (64, 64),
            (1000, 8),
            (33_000, 16),
            (200_000, 1),
            (1 << 20, 4096),
        ] {
            let layout = Layout::from_size_align(size, align).unwrap();
            // SAFETY: the layout has a size; the block is written within it and freed with the same layout.
            let block = unsafe { HEAP.alloc(layout) };
            assert!(!block.is_null() && (block as usize).is_multiple_of(align));
            // SAFETY: as above.
            unsafe { ptr::write_bytes(block, 0xa5, size) };
            live.push((block, layout));
        }
        for (i, (block, layout)) in live.iter().enumerate() {
            // SAFETY: the block is live.
            let bytes = unsafe { std::slice::from_raw_parts(*block, layout.size()) };
            assert!(bytes.iter().all(|b| *b == 0xa5), "block {i} was overwritten by another");
        }
        for (block, layout) in live {
            // SAFETY: the block is live; afterwards only arena blocks are looked at, which stay mapped.
            unsafe { HEAP.dealloc(block, layout) };
            if HEAP.owns(block) {
                // The first word may link to the next free block.
                // SAFETY: still inside the arena.
                let rest = unsafe { std::slice::from_raw_parts(block, layout.size()) };
                assert!(rest.iter().skip(8).all(|b| *b == 0));
            }
        }
    }

    #[test]
    fn a_freed_block_is_used_again_and_a_full_arena_still_serves() {
        static HEAP: WipingAllocator = WipingAllocator::new();
        let layout = Layout::from_size_align(262_144, 16).unwrap();
        // SAFETY: allocated and freed with one layout.
        unsafe {
            let first = HEAP.alloc(layout);
            HEAP.dealloc(first, layout);
            assert_eq!(HEAP.alloc(layout), first);
            let blocks: Vec<_> = (0..20).map(|_| HEAP.alloc(layout)).collect();
            assert!(blocks.iter().all(|b| !b.is_null()));
            assert!(blocks.iter().any(|b| !HEAP.owns(*b)), "the arena has room for 16");
            for block in blocks {
                HEAP.dealloc(block, layout);
            }
        }
    }

    #[test]
    fn a_process_forked_while_another_thread_had_the_book_still_gets_memory() {
        static HEAP: WipingAllocator = WipingAllocator::new();
        static HELD: AtomicBool = AtomicBool::new(false);
        static FORKED: AtomicBool = AtomicBool::new(false);
        let layout = Layout::from_size_align(100, 8).unwrap();
        // SAFETY: allocated here, freed in the child with one layout.
        let old = unsafe { HEAP.alloc(layout) };
        let holder = std::thread::spawn(|| {
            HEAP.with_book(|_| {
                HELD.store(true, Ordering::Release);
                while !FORKED.load(Ordering::Acquire) {
                    std::hint::spin_loop();
                }
            })
        });
        while !HELD.load(Ordering::Acquire) {
            std::hint::spin_loop();
        }
        // SAFETY: the child calls only what is allowed after a fork: our allocator, alarm, _exit.
        let status = unsafe {
            let child = libc::fork();
            if child == 0 {
                libc::alarm(20);
                HEAP.dealloc(old, layout);
                for _ in 0..1000 {
                    let block = HEAP.alloc(layout);
                    if block.is_null() || HEAP.owns(block) {
                        libc::_exit(1);
                    }
                    ptr::write_bytes(block, 0xa5, 100);
                    HEAP.dealloc(block, layout);
                }
                libc::_exit(0);
            }
            FORKED.store(true, Ordering::Release);
            let mut status = -1;
            libc::waitpid(child, &raw mut status, 0);
            status
        };
        holder.join().unwrap();
        assert_eq!(status, 0, "killed by its alarm, or refused");
        // SAFETY: a layout with a size.
        assert!(HEAP.owns(unsafe { HEAP.alloc(layout) }), "the parent lost nothing");
    }

    #[test]
    fn the_largest_record_and_configuration_are_read_within_the_arena() {
        use crate::ALLOCATOR;
        let (key, _) = SealKey::generate().unwrap();
        let mut record = Record::new(Name::new("alice").unwrap(), 1000, RecordId([7; 16]));
        for number in 0..32 {
            record.credentials.push(Credential {
                id: CredentialId::from_random([number; 6]),
                label: Label::new(&"\u{1f4f1}".repeat(64)),
                params: Params::default(),
                created: i64::MAX,
                origin: Origin::Enrolled,
                sealed: vec![0xa5; 24 + 64 + 16],
            });
        }
        let sealed = key.seal_text(Scope::Account, "alice", &record.to_toml().unwrap()).unwrap();
        for _ in 0..3 {
            let text = key.open_text(Scope::Account, "alice", &sealed).unwrap();
            assert_eq!(Record::from_toml(text).unwrap(), record);
        }
        for filling in ["# x\n".repeat(4096), format!("x = [{}]", "0,".repeat(8000)), "[x]\n".repeat(4096)] {
            let _ = Config::parse(Path::new("/etc/qrtotp/qrtotp.toml"), filling.as_bytes());
        }
        // It only grows, and what does not fit comes from elsewhere.
        let used = ALLOCATOR.with_book(|book| book.used).unwrap();
        assert!(used + LARGEST < ARENA, "{used} of {ARENA} bytes");
    }
}
