#![allow(clippy::unwrap_used)]
use super::*;
use qrtotp_core::account::{Credential, CredentialId, Label, Name, Origin, Record, RecordId};
use qrtotp_core::otp::{Params, Window};
use qrtotp_core::policy::Config;
use qrtotp_core::store::{Scope, SealKey};
use std::path::Path;

#[test]
fn blocks_are_aligned_distinct_and_wiped_when_freed() {
    static HEAP: WipingAllocator = WipingAllocator::new();
    let mut live = Vec::new();
    for (size, align) in
        [(1, 1), (16, 16), (17, 1), (40, 8), (64, 64), (1000, 8), (33_000, 16), (200_000, 1), (1 << 20, 4096)]
    {
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
            origin: Origin::Imported,
            window: Some(Window::own(3, 3)),
            sealed: vec![0xa5; 24 + 64 + 16],
        });
    }
    let sealed = key.seal_text(Scope::Account, "alice", &record.to_toml()).unwrap();
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

#[test]
fn the_pages_that_are_shielded_hold_the_arena_and_begin_and_end_where_a_mapping_does() {
    static HEAP: WipingAllocator = WipingAllocator::new();
    let (start, length) = zeroed_pages();
    let pages = start.addr()..start.addr() + length;
    let arena = HEAP.arena.0.get().addr();
    assert!(pages.contains(&arena) && pages.contains(&(arena + ARENA - 1)), "{pages:x?} {arena:x}");
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let whole = format!("{:x}-{:x} ", pages.start, pages.end);
    assert!(maps.lines().any(|line| line.starts_with(&whole)), "{whole}: {maps}");
}
