//! A disk that keeps synced data and any part of the rest: each 512-byte sector, each length and each change
//! of a directory independently.

use super::journal::{Event, Offset};
use std::collections::BTreeMap;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Component, Path, PathBuf};

const SECTOR: usize = 512;

type Id = usize;

#[derive(Clone, Debug, PartialEq, Eq)]
enum Node {
    Directory(BTreeMap<PathBuf, Id>),
    File { bytes: Vec<u8>, length: usize },
}

/// A change that is kept or lost as a whole.
#[derive(Clone, Debug)]
enum Change {
    Sector {
        file: Id,
        at: usize,
        bytes: Vec<u8>,
    },
    Length {
        file: Id,
        length: usize,
    },
    /// Of directory entries: the first is the subject of the change.
    Entries(Vec<(Id, PathBuf, Option<Id>)>),
}

impl Change {
    fn belongs_to(&self, id: Id) -> bool {
        match self {
            Self::Sector { file, .. } | Self::Length { file, .. } => *file == id,
            Self::Entries(entries) => entries[0].0 == id,
        }
    }
}

/// Files by number; the first is the root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Files(Vec<Node>);

impl Files {
    fn empty() -> Self {
        Self(vec![Node::Directory(BTreeMap::new())])
    }

    fn apply(&mut self, change: &Change) {
        match change {
            Change::Sector { file, at, bytes } => {
                let Node::File { bytes: all, .. } = &mut self.0[*file] else { panic!("a directory") };
                all.resize(all.len().max(at + bytes.len()), 0);
                all[*at..at + bytes.len()].copy_from_slice(bytes);
            }
            Change::Length { file, length } => {
                let Node::File { bytes, length: old } = &mut self.0[*file] else { panic!("a directory") };
                if *length < *old {
                    bytes.truncate(*length);
                }
                *old = *length;
            }
            Change::Entries(entries) => {
                for (directory, name, id) in entries {
                    let Node::Directory(names) = &mut self.0[*directory] else { panic!("a file") };
                    match id {
                        Some(id) => names.insert(name.clone(), *id),
                        None => names.remove(name),
                    };
                }
            }
        }
    }

    fn find(&self, path: &Path) -> Option<Id> {
        path.components().filter(|part| matches!(part, Component::Normal(_))).try_fold(0, |id, part| {
            match &self.0[id] {
                Node::Directory(names) => names.get(Path::new(part.as_os_str())).copied(),
                Node::File { .. } => None,
            }
        })
    }

    /// Writes the files into a directory of the host.
    pub(super) fn lay_out(&self, into: &Path) {
        self.lay_out_node(0, into);
    }

    fn lay_out_node(&self, id: Id, path: &Path) {
        match &self.0[id] {
            Node::Directory(names) => {
                std::fs::DirBuilder::new().mode(0o700).recursive(true).create(path).unwrap();
                names.iter().for_each(|(name, id)| self.lay_out_node(*id, &path.join(name)));
            }
            Node::File { bytes, length } => {
                let mut bytes = bytes.clone();
                bytes.resize(*length, 0);
                let mut new = std::fs::OpenOptions::new();
                let mut file = new.mode(0o600).write(true).create_new(true).open(path).unwrap();
                std::io::Write::write_all(&mut file, &bytes).unwrap();
            }
        }
    }

    /// Without files that no name leads to.
    fn reachable(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let (mut found, mut todo) = (Vec::new(), vec![(PathBuf::new(), 0)]);
        while let Some((path, id)) = todo.pop() {
            match &self.0[id] {
                Node::Directory(names) => {
                    todo.extend(names.iter().map(|(name, id)| (path.join(name), *id)));
                    found.push((path, b"/".to_vec()));
                }
                Node::File { bytes, length } => {
                    let mut bytes = bytes.clone();
                    bytes.resize(*length, 0);
                    found.push((path, bytes));
                }
            }
        }
        found
    }
}

/// The operations on a disk, and the durable part of their result.
#[derive(Clone)]
pub(super) struct Disk {
    durable: Files,
    /// As the running system sees it.
    live: Files,
    pending: Vec<Change>,
    /// How far each file was written, for writes without an offset.
    ends: BTreeMap<Id, usize>,
}

impl Disk {
    pub(super) fn new() -> Self {
        let (durable, live) = (Files::empty(), Files::empty());
        Self { durable, live, pending: Vec::new(), ends: BTreeMap::new() }
    }

    /// Makes everything durable.
    pub(super) fn wait_for_seconds_left(&mut self) {
        self.durable = self.live.clone();
        self.pending.clear();
    }

    fn change(&mut self, change: Change) {
        self.live.apply(&change);
        self.pending.push(change);
    }

    fn id(&self, path: &Path) -> Id {
        self.live.find(path).unwrap_or_else(|| panic!("{} is not there", path.display()))
    }

    fn entry(&self, path: &Path, id: Option<Id>) -> (Id, PathBuf, Option<Id>) {
        (self.id(path.parent().unwrap()), path.file_name().unwrap().into(), id)
    }

    fn make(&mut self, path: &Path, node: Node) {
        let id = self.live.0.len();
        self.live.0.push(node.clone());
        self.durable.0.push(node);
        self.change(Change::Entries(vec![self.entry(path, Some(id))]));
    }

    pub(super) fn take(&mut self, event: &Event) {
        match event {
            Event::Open { path, truncate } => match self.live.find(path) {
                None => self.make(path, Node::File { bytes: Vec::new(), length: 0 }),
                Some(file) => {
                    self.ends.remove(&file);
                    if *truncate {
                        self.change(Change::Length { file, length: 0 });
                    }
                }
            },
            Event::MakeDirectory(path) => self.make(path, Node::Directory(BTreeMap::new())),
            Event::Write { path, offset, bytes } => self.write(self.id(path), *offset, bytes),
            Event::Sync(path) => self.sync(self.id(path)),
            Event::Rename { from, to } => {
                let id = self.id(from);
                self.change(Change::Entries(vec![self.entry(to, Some(id)), self.entry(from, None)]));
            }
            Event::Link { from, to } => {
                let id = self.id(from);
                self.change(Change::Entries(vec![self.entry(to, Some(id))]));
            }
            Event::Remove(path) => self.change(Change::Entries(vec![self.entry(path, None)])),
            Event::Reported(_) => {}
        }
    }

    fn write(&mut self, file: Id, offset: Offset, bytes: &[u8]) {
        let start = match offset {
            Offset::At(start) => start,
            Offset::Next => self.ends.get(&file).copied().unwrap_or(0),
        };
        self.ends.insert(file, start + bytes.len());
        let (mut at, mut rest) = (start, bytes);
        while !rest.is_empty() {
            let (piece, more) = rest.split_at(rest.len().min(SECTOR - at % SECTOR));
            self.change(Change::Sector { file, at, bytes: piece.to_vec() });
            (at, rest) = (at + piece.len(), more);
        }
        if let Node::File { length, .. } = self.live.0[file]
            && at > length
        {
            self.change(Change::Length { file, length: at });
        }
    }

    fn sync(&mut self, id: Id) {
        for change in self.pending.extract_if(.., |change| change.belongs_to(id)) {
            self.durable.apply(&change);
        }
    }

    /// Every possible result of a power cut: all if there are at most `most`, otherwise that many, chosen by
    /// a fixed rule.
    pub(super) fn remains(&self, most: usize) -> Vec<Files> {
        let count = self.pending.len();
        let chosen: Vec<Vec<bool>> = if count < 20 && 1 << count <= most {
            (0..1_usize << count).map(|bits| (0..count).map(|i| bits >> i & 1 == 1).collect()).collect()
        } else {
            let mut chosen: Vec<Vec<bool>> = Vec::new();
            for n in 0..=count {
                chosen.push((0..count).map(|i| i < n).collect());
                chosen.push((0..count).map(|i| i == n).collect());
                chosen.push((0..count).map(|i| i != n).collect());
            }
            let mut random = 0x9e37_79b9_7f4a_7c15_u64; // xorshift64*, always the same
            while chosen.len() < most {
                chosen.push(std::iter::repeat_with(|| next(&mut random)).take(count).collect());
            }
            chosen
        };
        let mut seen = std::collections::BTreeSet::new();
        let mut remains = Vec::new();
        for kept in chosen {
            let mut files = self.durable.clone();
            for (change, _) in self.pending.iter().zip(&kept).filter(|(_, kept)| **kept) {
                files.apply(change);
            }
            let mut reachable = files.reachable();
            reachable.sort_unstable();
            if seen.insert(reachable) {
                remains.push(files);
            }
        }
        remains
    }
}

fn next(random: &mut u64) -> bool {
    *random ^= *random >> 12;
    *random ^= *random << 25;
    *random ^= *random >> 27;
    random.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 63 == 1
}

#[test]
fn a_disk_keeps_what_was_synced_and_any_part_of_the_rest() {
    let path = |name: &str| PathBuf::from(name);
    let mut disk = Disk::new();
    disk.take(&Event::Open { path: path("a"), truncate: false });
    disk.take(&Event::Write { path: path("a"), offset: Offset::Next, bytes: vec![1; 600] });
    // Two sectors and a length, or no name.
    assert_eq!(disk.remains(100).len(), 6);
    disk.take(&Event::Sync(path("a")));
    assert_eq!(disk.remains(100).len(), 2);
    disk.take(&Event::Sync(path("")));
    let [only] = &disk.remains(100)[..] else { panic!("one") };
    assert_eq!(only.reachable()[1].1, vec![1; 600]);
    disk.take(&Event::Write { path: path("a"), offset: Offset::At(500), bytes: vec![2; 50] });
    assert_eq!(disk.remains(100).len(), 4, "torn between its sectors");
    disk.take(&Event::Rename { from: path("a"), to: path("b") });
    assert_eq!(disk.remains(100).len(), 8);
    assert!(disk.remains(100).iter().all(|files| files.find(Path::new("a")) != files.find(Path::new("b"))));
}
