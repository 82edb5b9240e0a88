//! Which events a file has, how far it is known to be on the disk, and when the next file begins.

use super::*;

const MIB: usize = 1024 * 1024;
/// What a line has beside its text: its kind, its checksum and its end.
const LINE: usize = 12;

fn journal(outer: &TempDir, room: Option<Room>, is_synced: bool) -> (Folder, Journal) {
    let folder = Folder::make(&outer.path().join("spool")).unwrap();
    let journal = Journal::create(&folder, room, b"header\n", 1, is_synced).unwrap();
    (folder, journal)
}

#[test]
fn each_of_several_large_files_is_removed_with_its_own_events_and_no_other_is() {
    let (outer, mut keeper) = keeper(Durability::Process);
    let keys = ["1", "2", "3", "4", "5", "6"];
    let texts = keys.map(|key| key.repeat(MIB));
    let mut batches = texts.each_ref().map(|text| batch(&[text]));
    for (batch, key) in batches.iter_mut().zip(keys) {
        write(&mut keeper, batch, Some(key)).unwrap();
    }
    assert_eq!(left(&outer).len(), 6);
    for at in [5, 2, 4, 0, 3, 1] {
        assert!(left(&outer).contains(&vec![kept(keys[at], &[&texts[at]])]));
        done(&mut keeper, &batches[at], keys[at], true);
        assert!(!left(&outer).contains(&vec![kept(keys[at], &[&texts[at]])]));
        assert!(!keeper.has(&batches[at]));
    }
    assert!(left(&outer).is_empty());
}

#[test]
fn a_file_of_exactly_a_mebibyte_gets_no_more_events() {
    let (outer, mut keeper) = keeper(Durability::Process);
    let size = || files_below(&outer).map(|path| fs::metadata(path).unwrap().len()).max().unwrap();
    write(&mut keeper, &mut batch(&["1"]), None).unwrap();
    let rest = MIB - usize::try_from(size()).unwrap() - LINE;
    write(&mut keeper, &mut batch(&[&"2".repeat(rest)]), None).unwrap();
    assert_eq!((size(), files_below(&outer).count()), (MIB as u64, 1));
    write(&mut keeper, &mut batch(&["3"]), None).unwrap();
    assert_eq!(files_below(&outer).count(), 2);
}

#[test]
fn a_line_that_takes_all_the_room_there_is_needs_no_second_look_at_the_folder() {
    let outer = tempfile::tempdir().unwrap();
    let folder = Folder::make(&outer.path().join("spool")).unwrap();
    folder.create().unwrap().cut(15 * MIB as u64).unwrap();
    let room = store::look(&folder).unwrap();
    let (folder, mut journal) = journal(&outer, Some(room), false);
    let locked = folder.create().unwrap();
    locked.cut(2 * MIB as u64).unwrap(); // with it a second look would find no room, and remove the first file
    let text = "1".repeat(usize::try_from(journal.room).unwrap() - LINE);
    journal.write(&mut batch(&[&text]), &folder).unwrap();
    assert_eq!((journal.room, folder.files().unwrap().len()), (0, 3));
}

#[test]
fn what_is_written_is_known_to_be_on_the_disk_after_a_sync_and_not_before() {
    let outer = tempfile::tempdir().unwrap();
    let (folder, mut journal) = journal(&outer, None, true);
    let known = |journal: &Journal| {
        let synced = journal.sync.as_ref().unwrap();
        (synced.fresh, synced.end, synced.has_name)
    };
    journal.sync(&folder).unwrap();
    assert_eq!(known(&journal), (0, 0, false), "there was nothing to wait for");
    journal.write(&mut batch(&["1", "2"]), &folder).unwrap();
    journal.write(&mut batch(&["3"]), &folder).unwrap();
    assert_eq!((known(&journal), journal.open), ((3, 0, false), 3));
    journal.sync(&folder).unwrap();
    assert_eq!(known(&journal), (0, journal.end, true));
}
