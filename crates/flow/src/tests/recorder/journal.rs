//! strace's record of a process: its operations on the files below one directory, and the moments of its
//! reports.

use std::path::{Path, PathBuf};

/// The calls that strace records: all that change files or make changes durable.
pub(super) const CALLS: &str = "trace=openat,openat2,open,creat,mkdir,mkdirat,write,writev,pwrite64,pwritev,pwritev2,ftruncate,truncate,\
     fallocate,fsync,fdatasync,sync,syncfs,sync_file_range,rename,renameat,renameat2,link,linkat,symlink,symlinkat,unlink,unlinkat,rmdir,\
     mknod,mknodat,copy_file_range,sendfile,splice,msync";

/// One operation. Paths are below the directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// Opened for writing: created if it did not exist.
    Open {
        path: PathBuf,
        truncate: bool,
    },
    MakeDirectory(PathBuf),
    Write {
        path: PathBuf,
        offset: Offset,
        bytes: Vec<u8>,
    },
    Sync(PathBuf),
    Rename {
        from: PathBuf,
        to: PathBuf,
    },
    Link {
        from: PathBuf,
        to: PathBuf,
    },
    Remove(PathBuf),
    /// The report with this number.
    Reported(usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Offset {
    At(usize),
    /// Behind the last write.
    Next,
}

/// Reads strace's output (`-f -y -xx`). `root` is the directory; the process reports by making `REPORT.N`
/// beside it.
///
/// Panics at an unknown or interrupted call that touches the directory: nothing may be overlooked.
pub(super) fn read(trace: &str, root: &Path, report: &str) -> Vec<Event> {
    let mut events = Vec::new();
    for line in trace.lines() {
        let call = line.split_once(' ').map_or(line, |(_, call)| call.trim_start());
        let Some((name, rest)) = call.split_once('(') else { continue };
        let ours = |path: &PathBuf| path.strip_prefix(root).ok().map(Path::to_owned);
        // Written data is not a path.
        let named = |arguments: &str| match name.contains("write") {
            true => paths(arguments.split('"').next().unwrap_or_default()),
            false => paths(arguments),
        };
        let Some((arguments, result)) = rest.rsplit_once(" = ") else {
            // libtest's own thread may make calls in the meantime.
            let touched = named(rest).iter().any(|path| ours(path).is_some());
            assert!(!line.contains("unfinished") || !touched, "two threads at a time: {line}");
            continue;
        };
        if result.starts_with('-') {
            continue;
        }
        let paths = named(arguments);
        if name.starts_with("open") && !(arguments.contains("O_WRONLY") || arguments.contains("O_RDWR")) {
            continue;
        }
        if let Some(number) = paths.iter().find_map(|path| report_number(path, root, report)) {
            if name.starts_with("open") {
                events.push(Event::Reported(number));
            }
            continue;
        }
        let mut below = paths.iter().filter_map(ours);
        let Some(path) = below.next() else { continue };
        let other = || below.next().unwrap_or_else(|| panic!("one path: {line}"));
        events.push(match name {
            "openat" | "openat2" | "open" => Event::Open { path, truncate: arguments.contains("O_TRUNC") },
            "mkdir" | "mkdirat" if path.as_os_str().is_empty() => continue, // the directory itself
            "mkdir" | "mkdirat" => Event::MakeDirectory(path),
            "write" => Event::Write { path, offset: Offset::Next, bytes: data(arguments, result) },
            "pwrite64" => {
                let offset = arguments.trim_end_matches(')').rsplit(", ").next().unwrap().parse().unwrap();
                Event::Write { path, offset: Offset::At(offset), bytes: data(arguments, result) }
            }
            "fsync" | "fdatasync" => Event::Sync(path),
            "rename" | "renameat" | "renameat2" => Event::Rename { from: path, to: { other }() },
            "link" | "linkat" => Event::Link { from: path, to: { other }() },
            "unlink" | "unlinkat" | "rmdir" => Event::Remove(path),
            _ => panic!("the recorder does not know what this does: {line}"),
        });
    }
    events
}

fn report_number(path: &Path, root: &Path, report: &str) -> Option<usize> {
    if path.parent() != root.parent() {
        return None;
    }
    path.file_name()?.to_str()?.strip_prefix(report)?.strip_prefix('.')?.parse().ok()
}

/// The paths that the arguments name: of descriptors, and names below the descriptor before them.
fn paths(arguments: &str) -> Vec<PathBuf> {
    let mut paths = Vec::new();
    let mut directory = None;
    let mut rest = arguments;
    while let Some(start) = rest.find(['<', '"', '{']) {
        let (kind, end) = match &rest[start..=start] {
            "<" => ('<', '>'),
            "\"" => ('"', '"'),
            _ => break, // openat2's structure: no paths from here on
        };
        let inside = &rest[start + 1..];
        let length = inside.find(end).unwrap_or(inside.len());
        let text = unescape(&inside[..length]);
        rest = inside.get(length + 1..).unwrap_or_default();
        let path = PathBuf::from(String::from_utf8_lossy(&text).into_owned());
        if kind == '<' {
            paths.extend(directory.replace(path));
        } else {
            let base: Option<PathBuf> = directory.take();
            paths.push(base.map_or(path.clone(), |base| base.join(&path)));
        }
    }
    paths.extend(directory);
    paths
}

/// The bytes that were really written.
fn data(arguments: &str, result: &str) -> Vec<u8> {
    let text = arguments.split('"').nth(1).unwrap_or_default();
    assert!(!arguments.contains("\"..."), "strace cut it short");
    let mut bytes = unescape(text);
    bytes.truncate(result.trim().parse().unwrap());
    bytes
}

fn unescape(text: &str) -> Vec<u8> {
    let hex = |digits: &str| u8::from_str_radix(digits, 16).unwrap();
    text.split("\\x").skip(1).map(hex).collect()
}

#[test]
fn what_was_done_is_read_from_what_strace_shows() {
    let hex = |text: &str| text.bytes().map(|byte| format!("\\x{byte:02x}")).collect::<String>();
    let (root, file) = (hex("/t/host"), hex("/t/host/a"));
    let trace = format!(
        "7 openat(AT_FDCWD<{root}>, \"{}\", O_RDONLY) = 3</x>\n7 openat(4<{root}>, \"{}\", O_RDWR|O_CREAT, 0600) = 5<{file}>\n\
         7 pwrite64(5<{file}>, \"{}\", 3, 4096) = 2\n7 fdatasync(5<{file}>) = 0\n7 fsync(5<{file}>) = -1 EIO (x)\n\
         7 renameat2(4<{root}>, \"{}\", 4<{root}>, \"{}\", RENAME_NOREPLACE) = 0\n7 write(1<{}>, \"{}\", 1 <unfinished ...>\n\
         8 openat(AT_FDCWD<{root}>, \"{}\", O_WRONLY|O_CREAT, 0666) = 6<{}>\n7 <... write resumed>) = 1\n7 +++ exited with 0 +++\n",
        hex("b"),
        hex("a"),
        hex("xyz"),
        hex("a"),
        hex("b"),
        hex("/dev/null"),
        hex("x"),
        hex("/t/report.2"),
        hex("/t/report.2"),
    );
    let path = |name: &str| PathBuf::from(name);
    assert_eq!(
        read(&trace, Path::new("/t/host"), "report"),
        [
            Event::Open { path: path("a"), truncate: false },
            Event::Write { path: path("a"), offset: Offset::At(4096), bytes: b"xy".to_vec() },
            Event::Sync(path("a")),
            Event::Rename { from: path("a"), to: path("b") },
            Event::Reported(2),
        ]
    );
}

#[test]
#[should_panic(expected = "two threads at a time")]
fn a_call_that_touches_the_directory_and_is_interrupted_by_another_is_not_overlooked() {
    let hex = |text: &str| text.bytes().map(|byte| format!("\\x{byte:02x}")).collect::<String>();
    let trace = format!("7 pwrite64(5<{}>, \"{}\", 3, 0 <unfinished ...>\n", hex("/t/host/a"), hex("xyz"));
    read(&trace, Path::new("/t/host"), "report");
}
