//! What the folder may hold: at the limit nothing is removed, and past it the oldest file and no more.

use std::time::{Duration, SystemTime};

use super::*;

const MIB: u64 = 1024 * 1024;

/// A folder with unlocked files of these sizes, the oldest first, and their paths.
fn folder_of(sizes: &[u64]) -> (TempDir, Folder, Vec<PathBuf>) {
    let outer = tempfile::tempdir().unwrap();
    let path = outer.path().join("spool");
    let folder = Folder::make(&path).unwrap();
    let now = SystemTime::now();
    let make = |(number, bytes): (u64, &u64)| {
        let path = path.join(&folder.create().unwrap().name);
        let file = fs::File::options().write(true).open(&path).unwrap();
        file.set_len(*bytes).unwrap();
        file.set_modified(now - Duration::from_secs(1000 - number)).unwrap();
        path
    };
    let paths = (0..).zip(sizes).map(make).collect();
    (outer, folder, paths)
}

fn there(paths: &[PathBuf]) -> Vec<bool> {
    paths.iter().map(|path| path.exists()).collect()
}

#[test]
fn a_folder_of_16_mib_loses_its_oldest_files_only_as_far_as_there_is_need() {
    let (_outer, folder, paths) = folder_of(&[6 * MIB, 6 * MIB, MIB, 3 * MIB]);
    assert_eq!(store::make_room(&folder, 1).unwrap(), 6 * MIB);
    assert_eq!(there(&paths), [false, true, true, true]);
    assert_eq!(store::make_room(&folder, 6 * MIB).unwrap(), 6 * MIB);
    assert_eq!(there(&paths), [false, true, true, true], "it fits exactly");
    assert_eq!(store::make_room(&folder, 12 * MIB + 1).unwrap(), 13 * MIB);
    assert_eq!(there(&paths), [false, false, false, true]);
}

#[test]
fn what_other_processes_write_to_counts_and_is_not_removed() {
    let (_outer, folder, paths) = folder_of(&[10 * MIB, 6 * MIB - 1]);
    let name = paths[0].file_name().unwrap().to_str().unwrap().to_owned();
    let _locked = folder.lock(&name).unwrap().unwrap();
    assert_eq!(store::make_room(&folder, 1).unwrap(), 1);
    assert!(matches!(store::make_room(&folder, 6 * MIB + 1), Err(KeepError::Full)));
    assert!(paths[0].exists());
    assert_eq!(store::make_room(&folder, 6 * MIB).unwrap(), 6 * MIB, "nothing else is there");
}

#[test]
fn a_new_file_may_use_what_the_others_leave() {
    let (_outer, folder, _) = folder_of(&[10 * MIB, 5 * MIB]);
    let seen = store::look(&folder).unwrap();
    assert_eq!(store::create(&folder, None).unwrap().1, MIB);
    assert_eq!(store::create(&folder, Some(seen)).unwrap().1, MIB);
}

#[test]
fn the_256th_file_removes_none_and_the_257th_the_oldest_although_an_earlier_look_saw_room() {
    let (_outer, folder, paths) = folder_of(&[1; 255]);
    let seen = store::look(&folder).unwrap();
    let _last = store::create(&folder, Some(seen)).unwrap();
    assert!(paths.iter().all(|path| path.exists()));
    let full = store::look(&folder).unwrap();
    let _next = store::create(&folder, Some(full)).unwrap();
    assert_eq!(there(&paths).iter().position(|is_there| *is_there), Some(1));
    assert_eq!(folder.files().unwrap().len(), 256);
}

#[test]
fn two_files_too_many_cost_the_two_oldest() {
    let (_outer, folder, paths) = folder_of(&[1; 257]);
    let _file = store::create(&folder, None).unwrap();
    assert_eq!(there(&paths).iter().position(|is_there| *is_there), Some(2));
}

#[test]
fn a_journal_writes_as_much_as_it_has_room_for_before_it_looks_for_more() {
    let (outer, mut keeper) = keeper(Durability::Process);
    let others = MIB * 15;
    let account = outer.path().join("spool");
    keep(&mut keeper, &mut batch(&["1"]), KEY).unwrap();
    let account = fs::read_dir(account).unwrap().next().unwrap().unwrap().path();
    let other = account.join("0123456789abcdef.tlm");
    fs::File::create(&other).unwrap().set_len(others).unwrap();
    // The keeper counted before the other file was there, so it does not notice that one.
    keep(&mut keeper, &mut batch(&[&"2".repeat(2 * 1024 * 1024)]), KEY).unwrap();
    assert!(other.exists());
    // This is more than it had room for, so it counts again.
    keep(&mut keeper, &mut batch(&[&"3".repeat(14 * 1024 * 1024 - 1000)]), KEY).unwrap();
    assert!(!other.exists());
}

#[test]
fn files_of_other_accounts_are_removed_when_they_are_older_than_a_week_and_own_ones_are_not() {
    const WEEK: u64 = 7 * 24 * 60 * 60;
    let outer = tempfile::tempdir().unwrap();
    let spool = Spool::at(outer.path().join("spool"));
    let [own, other] =
        ["own", "other"].map(|key| Store::new(spool.clone(), "https://host".to_owned(), key.as_bytes()));
    let leave = |store: &Store, age: u64| {
        let name = store.make().unwrap().create().unwrap().name.clone();
        let path = files_below(&outer).find(|path| path.ends_with(&name)).unwrap();
        let file = fs::File::options().write(true).open(&path).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(age)).unwrap();
        path
    };
    let (old, young) = (leave(&other, WEEK + 60), leave(&other, WEEK - 60));
    let of_own = leave(&own, 2 * WEEK);
    assert!(own.open().unwrap().is_some());
    assert_eq!(there(&[old, young, of_own]), [false, true, true]);
}

#[test]
fn an_error_says_whether_the_folder_or_the_disk_is_at_its_limit() {
    let disk = KeepError::from(io::Error::other("of the disk"));
    assert_eq!((disk.is_full(), disk.to_string().as_str()), (false, "of the disk"));
    assert_eq!((KeepError::Full.is_full(), KeepError::Full.to_string().is_empty()), (true, false));
}
