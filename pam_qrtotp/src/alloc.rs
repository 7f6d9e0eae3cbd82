//! The module's allocator: memory that is wiped when it is freed, kept out of core dumps and swap where limits allow.
//!
//! Ordinary allocations come from an arena inside the module's own image, so that a host short of memory gets a denial
//! from us and not the abort that a failed allocation is in Rust: the largest record and configuration are read and parsed in
//! it. What is larger comes from the kernel: Argon2's memory, which is asked for with `try_reserve`. The arena goes with the
//! module; pages of it that are never touched cost nothing.

use std::alloc::{GlobalAlloc, Layout};
use std::cell::UnsafeCell;
use std::mem::MaybeUninit;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicBool, Ordering};

/// Bytes of the arena; a login holds some ten thousand of them while it waits for its answer.
const ARENA: usize = 2 * 1024 * 1024;
const PAGE: usize = 4096;
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
        let (start, length) = zeroed_pages();
        // SAFETY: the range is our own image's, page-aligned; neither call changes what is in it.
        unsafe {
            keep_out_of_dumps(start, length);
            libc::syscall(libc::SYS_mlock2, start, length, libc::MLOCK_ONFAULT);
        }
    }

    #[inline]
    fn class(layout: &Layout) -> Option<usize> {
        let size = layout.size().max(layout.align()).max(SMALLEST);
        // The number of the power of two that is not below the size.
        (size <= LARGEST && layout.align() <= MAX_ALIGN)
            .then(|| ((size - 1).ilog2() + 1 - SMALLEST.trailing_zeros()) as usize)
    }

    /// `None` if the book is lost: then there is no arena.
    #[inline]
    fn with_book<T>(&self, f: impl FnOnce(&mut Book) -> T) -> Option<T> {
        if (self.lost.load(Ordering::Relaxed) || self.busy.swap(true, Ordering::Acquire)) && !self.wait() {
            return None;
        }
        // SAFETY: `busy` makes us the only one who holds a reference to the book.
        let result = f(unsafe { &mut *self.book.get() });
        self.busy.store(false, Ordering::Release);
        Some(result)
    }

    /// Takes the book when whoever has it is done. If that does not happen, it is lost.
    #[cold]
    fn wait(&self) -> bool {
        for tries in 1..TRIES {
            if self.lost.load(Ordering::Relaxed) {
                return false;
            }
            // SAFETY: both only let time pass.
            unsafe {
                if tries <= TRIES_AT_ONCE {
                    libc::syscall(libc::SYS_sched_yield);
                } else {
                    let pause = libc::timespec { tv_sec: 0, tv_nsec: 1_000_000 };
                    libc::clock_nanosleep(libc::CLOCK_MONOTONIC, 0, &raw const pause, ptr::null_mut());
                }
            }
            if !self.busy.swap(true, Ordering::Acquire) {
                return true;
            }
        }
        self.lost.store(true, Ordering::Relaxed);
        false
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

/// # Safety
/// The range is ours: whole pages that are mapped.
unsafe fn keep_out_of_dumps(start: *mut libc::c_void, size: usize) {
    // SAFETY: the caller's promise; what is in the pages stays as it is.
    unsafe { libc::syscall(libc::SYS_madvise, start, size, libc::MADV_DONTDUMP) };
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

/// Bytes of stack that are wiped. A login reached 16 KB below libpam, a recovery code 19 KB; and libpam itself, where it reports to the
/// audit system, 28 KB. So a thread whose stack is too small for this is too small for any login.
const STACK: usize = 20 * 1024;

/// Wipes the stack below the caller: what hashes, ciphers and moves have left there.
#[inline(never)]
pub(crate) fn wipe_stack() {
    let mut area = [const { MaybeUninit::<[u64; 8]>::uninit() }; STACK / 64];
    // By pieces of a cache line: so much memset(3) would have the processor do byte by byte, in microcode.
    for piece in &mut area {
        // SAFETY: the piece is part of a local variable. A volatile write can't be left out.
        unsafe { ptr::write_volatile(piece.as_mut_ptr(), [0; 8]) };
    }
}

/// The whole pages of our image that begin as zeros, the arena among them. The kernel has them as one mapping, which a part
/// of it would split at every login.
fn zeroed_pages() -> (*mut libc::c_void, usize) {
    unsafe extern "C" {
        // The linker's.
        static __bss_start: u8;
        static _end: u8;
    }
    let page = |symbol: *const u8| symbol.addr().next_multiple_of(PAGE);
    let (start, end) = (page(&raw const __bss_start), page(&raw const _end));
    ((&raw const __bss_start).with_addr(start).cast_mut().cast(), end - start)
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
        if layout.align() > PAGE {
            return ptr::null_mut();
        }
        // SAFETY: an anonymous private mapping at an address of the kernel's choice touches nothing that exists.
        let mapped = unsafe {
            libc::mmap64(
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
        unsafe { keep_out_of_dumps(mapped, layout.size()) };
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
mod tests;
