//! What `Spool::status` and `Spool::purge` count.

use super::*;

/// What is in a folder: files, bytes, events.
fn counts(of: crate::spool::settings::SpoolStatus) -> (u64, u64, u64) {
    (of.files, of.bytes, of.events)
}

#[test]
fn the_status_counts_every_file_of_every_account_and_purge_removes_those_that_are_not_open() {
    let outer = tempfile::tempdir().unwrap();
    let spool = Spool::at(outer.path().join("spool"));
    assert_eq!(counts(spool.status().unwrap()), (0, 0, 0), "there is no folder");
    assert_eq!(counts(spool.purge().unwrap()), (0, 0, 0));

    let keeper = |account: &str| {
        let store = Store::new(spool.clone(), "https://host".to_owned(), account.as_bytes());
        keeper_of(store, no_replays())
    };
    let bytes = || counts(spool.status().unwrap()).1;
    let mut open = keeper("own");
    keep(&mut open, &mut batch(&["1", "2"]), KEY).unwrap();
    keep(&mut open, &mut batch(&["3", "4", "5"]), "other").unwrap();
    let in_open = bytes();
    assert!(in_open > 0);
    keep(&mut keeper("own"), &mut batch(&["6"]), KEY).unwrap();
    let in_second = bytes() - in_open;
    keep(&mut keeper("other"), &mut batch(&["7", "8"]), KEY).unwrap();
    let in_third = bytes() - in_open - in_second;
    let on_disk: u64 = files_below(&outer).map(|path| fs::metadata(path).unwrap().len()).sum();
    assert_eq!(in_open + in_second + in_third, on_disk);

    assert_eq!(counts(spool.status().unwrap()), (3, on_disk, 8));
    assert_eq!(counts(spool.purge().unwrap()), (2, in_second + in_third, 3));
    assert_eq!(counts(spool.status().unwrap()), (1, in_open, 5), "a process has it open");
    drop(open);
    assert_eq!(counts(spool.purge().unwrap()), (1, in_open, 5));
    assert_eq!(files_below(&outer).count(), 0);
}

#[test]
fn a_folder_that_cannot_be_used_is_an_error_and_not_an_empty_one() {
    let outer = tempfile::tempdir().unwrap();
    fs::write(outer.path().join("file"), "").unwrap();
    let spool = Spool::at(outer.path().join("file/spool"));
    assert_eq!(spool.status().unwrap_err().kind(), io::ErrorKind::NotADirectory);
    assert_eq!(spool.purge().unwrap_err().kind(), io::ErrorKind::NotADirectory);
}
