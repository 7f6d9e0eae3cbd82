#![allow(clippy::unwrap_used)]
use super::*;
use std::os::unix::fs::{PermissionsExt, symlink};

fn scratch() -> tempfile::TempDir {
    tempfile::Builder::new().permissions(PermissionsExt::from_mode(0o700)).tempdir().unwrap()
}

fn chmod(path: &Path, mode: u32) {
    std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
}

#[test]
fn a_directory_that_others_may_write_to_is_refused_anywhere_in_the_path() {
    let root = scratch();
    let inner = root.path().join("open/inner");
    std::fs::create_dir_all(&inner).unwrap();
    chmod(&root.path().join("open"), 0o777);
    assert!(matches!(open_dir(&inner), Err(TrustError::Untrusted { .. })));
    chmod(&root.path().join("open"), 0o1777);
    assert!(open_dir(&inner).is_ok(), "sticky, like /tmp: nobody can replace what root made in it");
}

#[test]
fn links_are_not_followed() {
    let root = scratch();
    std::fs::create_dir(root.path().join("real")).unwrap();
    symlink(root.path().join("real"), root.path().join("link")).unwrap();
    std::fs::create_dir(root.path().join("real/inner")).unwrap();
    for path in ["link", "link/", "link/inner"] {
        let opened = open_dir(&root.path().join(path));
        assert!(matches!(&opened, Err(TrustError::Link(at)) if at.ends_with("link")), "{opened:?}");
    }
    assert!(open_dir(&root.path().join("real/inner/")).is_ok());
    std::fs::write(root.path().join("file"), "x").unwrap();
    symlink("file", root.path().join("alias")).unwrap();
    let dir = open_dir(root.path()).unwrap();
    let opened = open_file(&dir, "alias", Path::new("alias"), false, Readers::Anybody);
    assert!(matches!(opened, Err(TrustError::Link(_))));
}

#[test]
fn relative_paths_and_dots_are_refused() {
    assert!(matches!(open_dir(Path::new("etc")), Err(TrustError::Form(_))));
    assert!(matches!(open_dir(Path::new("/etc/../etc")), Err(TrustError::Form(_))));
}

#[test]
fn what_is_no_file_is_named_with_what_to_do_and_never_waited_for() {
    let root = scratch();
    let dir = open_dir(root.path()).unwrap();
    nix::unistd::mkfifo(&root.path().join("fifo"), Mode::from_bits_truncate(0o600)).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(root.path().join("socket")).unwrap();
    std::fs::create_dir(root.path().join("dir")).unwrap();
    let devices = open_dir(Path::new("/dev")).unwrap();
    for (dir, name, what) in [
        (&dir, "fifo", "a FIFO"),
        (&dir, "socket", "a socket"),
        (&dir, "dir", "a directory"),
        (&devices, "null", "a device"),
    ] {
        for write in [false, true] {
            let opened = open_file(&dir, name, Path::new("/x/it"), write, Readers::OwnerOnly);
            let error = opened.unwrap_err().to_string();
            assert!(
                error.starts_with(&format!("/x/it is {what}, not a file; put the file in its place")),
                "{error}"
            );
        }
    }
}

#[test]
fn what_is_no_directory_is_told_with_what_to_do() {
    let root = scratch();
    std::fs::write(root.path().join("file"), "x").unwrap();
    let dir = open_dir(root.path()).unwrap();
    for error in [
        open_dir(&root.path().join("file")).unwrap_err(),
        open_dir(&root.path().join("file/inner")).unwrap_err(),
        open_private_dir(&dir, "file", &root.path().join("file")).unwrap_err(),
    ] {
        assert!(error.to_string().contains("file: is not a directory"), "{error}");
        assert!(error.to_string().contains("put the directory in its place"), "{error}");
    }
}

#[test]
fn files_that_others_may_read_are_refused_where_they_hold_secrets() {
    let root = scratch();
    let dir = open_dir(root.path()).unwrap();
    std::fs::write(root.path().join("key"), "x").unwrap();
    chmod(&root.path().join("key"), 0o640);
    assert!(open_file(&dir, "key", Path::new("key"), false, Readers::OwnerOnly).is_err());
    assert!(open_file(&dir, "key", Path::new("key"), false, Readers::Anybody).is_ok());
}

#[test]
fn a_file_over_its_limit_is_refused_and_one_at_the_limit_is_read() {
    let root = scratch();
    let path = root.path().join("big");
    std::fs::write(&path, vec![7; 10_000]).unwrap();
    let dir = open_dir(root.path()).unwrap();
    let file = open_file(&dir, "big", &path, false, Readers::Anybody).unwrap();
    assert!(matches!(read_all(&file, &path, 9_999), Err(TrustError::TooLarge(_))));
    assert_eq!(read_all(&file, &path, 10_000).unwrap().len(), 10_000);
}

#[test]
fn a_file_that_grows_after_it_was_opened_is_read_whole_and_one_that_shrinks_is_refused() {
    let root = scratch();
    let path = root.path().join("file");
    std::fs::write(&path, "one").unwrap();
    let dir = open_dir(root.path()).unwrap();
    let file = open_file(&dir, "file", &path, false, Readers::Anybody).unwrap();
    std::fs::write(&path, "one and two").unwrap();
    assert_eq!(read_all(&file, &path, 100).unwrap().as_slice(), b"one and two");
    let file = open_file(&dir, "file", &path, false, Readers::Anybody).unwrap();
    std::fs::write(&path, "two").unwrap();
    assert!(matches!(read_all(&file, &path, 100), Err(TrustError::Cut(_))));
}
