use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Command;

use tempfile::TempDir;

use super::*;

const NAME: &str = "0123456789abcdef.tlm";

fn folder() -> (TempDir, Folder) {
    let outer = tempfile::tempdir().unwrap();
    let folder = Folder::make(&outer.path().join("a/b")).unwrap();
    (outer, folder)
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn folders_and_files_are_made_for_this_user_alone() {
    let (outer, folder) = folder();
    let account = folder.make_below("v1-00000000").unwrap();
    let file = account.create().unwrap();
    let path = outer.path().join("a/b/v1-00000000");
    assert_eq!((mode(&outer.path().join("a")), mode(&path)), (0o700, 0o700));
    assert_eq!(mode(&path.join(&file.name)), 0o600);
}

#[test]
fn a_folder_that_others_can_use_or_that_is_a_link_is_refused() {
    let (outer, _folder) = folder();
    let path = outer.path().join("a/b");
    for mode in [0o777, 0o750, 0o701] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        assert_eq!(Folder::open(&path).unwrap_err().kind(), io::ErrorKind::PermissionDenied, "{mode:o}");
    }
    fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
    assert!(Folder::open(&path).is_ok());
    symlink(&path, outer.path().join("link")).unwrap();
    assert!(Folder::make(&outer.path().join("link")).is_err());
    fs::write(outer.path().join("file"), "").unwrap();
    assert!(Folder::make(&outer.path().join("file")).is_err());
}

#[test]
fn what_is_of_another_user_is_refused() {
    if !rustix::process::geteuid().is_root() {
        return eprintln!("skipped: only root can give a file away");
    }
    let (outer, folder) = folder();
    let path = outer.path().join("a/b");
    let file = path.join(NAME);
    fs::write(&file, "theirs").unwrap();
    std::os::unix::fs::chown(&file, Some(1), None).unwrap();
    assert!(folder.lock(NAME).unwrap().is_none());
    assert!(folder.files().unwrap().is_empty());
    std::os::unix::fs::chown(&path, Some(1), None).unwrap();
    assert_eq!(Folder::open(&path).unwrap_err().kind(), io::ErrorKind::PermissionDenied);
    assert!(!is_path_own(&path.join("program/telemetry")), "the home of another user");
}

#[test]
fn links_fifos_folders_and_files_with_a_second_name_are_left_alone() {
    let (outer, folder) = folder();
    let path = |name: &str| outer.path().join("a/b").join(name);
    let target = outer.path().join("target");
    fs::write(&target, "mine").unwrap();
    symlink(&target, path("1111111111111111.tlm")).unwrap();
    fs::hard_link(&target, path("2222222222222222.tlm")).unwrap();
    assert!(Command::new("mkfifo").arg(path("3333333333333333.tlm")).status().unwrap().success());
    fs::create_dir(path("4444444444444444.tlm")).unwrap();
    std::os::unix::net::UnixListener::bind(path("5555555555555555.tlm")).unwrap();
    assert!(folder.files().unwrap().is_empty());
    for digit in 1..=6 {
        let name = format!("{}.tlm", digit.to_string().repeat(16));
        assert!(folder.lock(&name).unwrap().is_none(), "{digit}");
        assert!(folder.peek(&name).is_err(), "{digit}");
    }
}

#[test]
fn only_names_of_the_spool_count() {
    let names =
        [NAME, "0123456789abcdeF.tlm", "0123456789abcde.tlm", "0123456789abcdef.txt", "notes", ".tlm"];
    assert_eq!(names.map(is_file_name), [true, false, false, false, false, false]);
}

#[test]
fn a_file_has_one_owner_until_that_one_drops_it() {
    let (_outer, folder) = folder();
    let file = folder.create().unwrap();
    let name = file.name.clone();
    assert!(folder.lock(&name).unwrap().is_none());
    drop(file);
    assert!(folder.lock(&name).unwrap().is_some());
}

#[test]
fn a_file_that_was_removed_before_it_was_locked_is_not_taken() {
    let (outer, folder) = folder();
    let path = outer.path().join("a/b").join(NAME);
    fs::write(&path, "").unwrap();
    let open = rustix::fs::openat(&folder.0, NAME, OPEN_FILE, Mode::empty()).unwrap();
    fs::remove_file(&path).unwrap();
    assert!(LockedFile::lock(open, NAME.to_owned()).unwrap().is_none());
}

#[test]
fn files_come_in_the_order_of_their_last_change() {
    let (_outer, folder) = folder();
    let files: Vec<_> = (0..3).map(|_| folder.create().unwrap()).collect();
    for (file, age) in files.iter().zip([1, 3, 2]) {
        file.file.set_modified(SystemTime::now() - Duration::from_secs(age)).unwrap();
    }
    let names: Vec<_> = folder.files().unwrap().into_iter().map(|found| found.name).collect();
    assert_eq!(names, [1, 2, 0].map(|at| files[at].name.clone()));
}
