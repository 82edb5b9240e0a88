//! The journal, the store and the keeper together, in folders of their own.

mod keeper;
mod limits;
mod places;
mod status;

use std::fs;
use std::path::PathBuf;

use tempfile::TempDir;
use uuid::Uuid;

use super::*;
use crate::model::config::Protocol;
use crate::queue::admission::Load;
use crate::spool::keeper::Keeper;
use crate::spool::replay::Seen;
use crate::spool::replay::replays::Replays;
use crate::spool::settings::{Durability, Spool};
use crate::spool::store::Store;
use crate::wire::batch::Batcher;
use crate::wire::envelope::Envelope;

const KEY: &str = "tinker-telemetry-retry-1";

fn batch(events: &[&str]) -> Batch {
    Batch::of(events.iter().map(|event| event.as_bytes()))
}

fn no_replays() -> Replays {
    Replays::new(|| Ok(Seen::default()))
}

/// A keeper and its folder.
fn keeper(durability: Durability) -> (TempDir, Keeper) {
    let outer = tempfile::tempdir().unwrap();
    let keeper = another(&outer, durability, no_replays());
    (outer, keeper)
}

/// Another keeper of the same folder.
fn another(outer: &TempDir, durability: Durability, replays: Replays) -> Keeper {
    keeper_of(store(outer, "spool", durability), replays)
}

fn keeper_of(store: Store, replays: Replays) -> Keeper {
    let envelope = Envelope::new(&Protocol::default(), "session", Uuid::nil());
    Keeper::new(store, &envelope, false, replays)
}

/// What a keeper's files are in.
fn store(outer: &TempDir, below: &str, durability: Durability) -> Store {
    let spool = Spool::at(outer.path().join(below)).durability(durability);
    Store::new(spool, "https://host".to_owned(), b"key")
}

/// Keeps one batch.
/// Writes a batch that is sent under this key.
fn write(keeper: &mut Keeper, batch: &mut Batch, key: Option<&str>) -> Result<(), KeepError> {
    batch.set_key(key.map(str::to_owned));
    keeper.write(batch)
}

/// The batch that was sent under this key has its fate.
fn done(keeper: &mut Keeper, batch: &Batch, key: &str, is_key_known: bool) {
    let mut batch = batch.clone();
    batch.set_key(Some(key.to_owned()));
    keeper.done(&batch, is_key_known);
}

fn keep(keeper: &mut Keeper, batch: &mut Batch, key: &str) -> Result<(), KeepError> {
    batch.set_key(Some(key.to_owned()));
    keeper.keep_all(&mut [batch]).remove(0).error.map_or(Ok(()), Err)
}

/// The files, each with what is left in it.
fn left(outer: &TempDir) -> Vec<Vec<(Option<String>, Vec<String>)>> {
    let Ok(accounts) = fs::read_dir(outer.path().join("spool")) else { return Vec::new() };
    let files = accounts.flat_map(|account| fs::read_dir(account.unwrap().path()).unwrap());
    let read = |path| {
        let bytes = fs::read(path).unwrap();
        let contents = line::read(&bytes).unwrap();
        assert_eq!(contents.end, bytes.len() as Place, "a line that is not whole");
        let text = |(_, event): &(Place, &[u8])| String::from_utf8(event.to_vec()).unwrap();
        contents.left.iter().map(|left| (left.key.clone(), left.events.iter().map(text).collect())).collect()
    };
    files.map(|file| read(file.unwrap().path())).collect()
}

/// The paths of all files of the spool.
fn files_below(outer: &TempDir) -> impl Iterator<Item = PathBuf> {
    let entries = |path: PathBuf| fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path());
    entries(outer.path().join("spool")).flat_map(entries)
}

fn kept(key: &str, events: &[&str]) -> (Option<String>, Vec<String>) {
    (Some(key.to_owned()), events.iter().map(|event| (*event).to_owned()).collect())
}

#[test]
fn what_is_kept_is_in_the_file_under_its_key() {
    for durability in [Durability::Process, Durability::Power] {
        let (outer, mut keeper) = keeper(durability);
        keep(&mut keeper, &mut batch(&["{}", "[]"]), KEY).unwrap();
        keep(&mut keeper, &mut batch(&["1"]), "other").unwrap();
        assert_eq!(left(&outer), [[kept(KEY, &["{}", "[]"]), kept("other", &["1"])]]);
    }
}

#[test]
fn an_event_is_written_once_however_often_its_batch_is() {
    let (outer, mut keeper) = keeper(Durability::Process);
    let mut batch = batch(&["1", "2"]);
    write(&mut keeper, &mut batch, None).unwrap();
    write(&mut keeper, &mut batch, Some(KEY)).unwrap();
    keep(&mut keeper, &mut batch, KEY).unwrap();
    assert_eq!(left(&outer), [[kept(KEY, &["1", "2"])]]);
}

#[test]
fn a_file_whose_events_have_their_fate_is_removed() {
    let (outer, mut keeper) = keeper(Durability::Process);
    let mut whole = batch(&["1", "2", "3"]);
    write(&mut keeper, &mut whole, Some(KEY)).unwrap();
    let [mut first, mut second] = whole.split().unwrap();
    write(&mut keeper, &mut first, Some("first")).unwrap();
    write(&mut keeper, &mut second, Some("second")).unwrap();
    done(&mut keeper, &first, "first", true);
    assert_eq!(left(&outer), [[kept("second", &["2", "3"])]]);
    done(&mut keeper, &second, "second", true);
    assert!(left(&outer).is_empty());
}

#[test]
fn halves_that_the_file_does_not_know_have_their_fate_there_too() {
    let (outer, mut keeper) = keeper(Durability::Process);
    let mut whole = batch(&["1", "2", "3"]);
    write(&mut keeper, &mut whole, Some(KEY)).unwrap();
    let [first, second] = whole.split().unwrap();
    done(&mut keeper, &first, "first", false);
    assert_eq!(
        left(&outer),
        [[(None, vec!["2".to_owned(), "3".to_owned()])]],
        "of the whole, the key no longer fits"
    );
    done(&mut keeper, &second, "second", false);
    assert!(left(&outer).is_empty());
}

#[test]
fn a_batch_that_was_kept_and_then_delivered_is_not_there_any_more() {
    let (outer, mut keeper) = keeper(Durability::Process);
    let (mut late, mut lost) = (batch(&["1"]), batch(&["2"]));
    keep(&mut keeper, &mut late, KEY).unwrap();
    keep(&mut keeper, &mut lost, "other").unwrap();
    keeper.done_after_all(&late);
    assert_eq!(left(&outer), [[kept("other", &["2"])]]);
}

#[test]
fn a_folder_that_was_removed_is_made_again() {
    let (outer, mut keeper) = keeper(Durability::Process);
    keep(&mut keeper, &mut batch(&["1"]), KEY).unwrap();
    fs::remove_dir_all(outer.path().join("spool")).unwrap();
    keep(&mut keeper, &mut batch(&["2"]), "other").unwrap();
    assert_eq!(left(&outer), [[kept("other", &["2"])]]);
}

#[test]
fn a_full_folder_loses_its_oldest_file_and_then_keeps_no_more() {
    let (outer, mut old) = keeper(Durability::Process);
    let large = "1".repeat(9 * 1024 * 1024);
    keep(&mut old, &mut batch(&[&large]), KEY).unwrap();
    let fresh = || another(&outer, Durability::Process, no_replays());
    // The old file still has its owner.
    let refused = keep(&mut fresh(), &mut batch(&[&large]), KEY);
    assert!(matches!(refused, Err(KeepError::Full)), "{refused:?}");
    assert_eq!(left(&outer).len(), 1, "a file that could not be used was left behind");
    drop(old);
    keep(&mut fresh(), &mut batch(&[&large]), "fresh").unwrap();
    assert_eq!(left(&outer), [[kept("fresh", &[&large])]]);
}

/// The batch that found no room is written again later, when the file has grown past the place that it would have had.
#[test]
fn a_batch_that_found_no_room_is_in_the_file_once_it_counts_as_kept() {
    let (outer, mut old) = keeper(Durability::Process);
    let large = "1".repeat(9 * 1024 * 1024);
    keep(&mut old, &mut batch(&[&large]), KEY).unwrap();
    let mut keeper = another(&outer, Durability::Process, no_replays());
    keep(&mut keeper, &mut batch(&["1"]), "first").unwrap();
    let mut late = batch(&["2", &large]);
    let refused = keep(&mut keeper, &mut late, "late");
    assert!(matches!(refused, Err(KeepError::Full)), "{refused:?}");
    let small = vec!["3"; 100];
    keep(&mut keeper, &mut batch(&small), "small").unwrap();
    drop(old); // now there is room
    keep(&mut keeper, &mut late, "late").unwrap();
    drop(keeper);
    let expected = [kept("first", &["1"]), kept("small", &small), kept("late", &["2", &large])];
    assert!(left(&outer).contains(&expected.to_vec()), "an event is in no file");
}

#[test]
fn a_file_that_is_large_gets_no_more_events_and_each_is_removed_when_its_own_have_their_fate() {
    let (outer, mut keeper) = keeper(Durability::Process);
    let (large, medium) = ("1".repeat(1024 * 1024), "2".repeat(10_000));
    let texts = [[&large, "a"], [&large, "b"], [&medium, "c"], ["3", "d"]];
    let mut batches = texts.map(|events| batch(&events));
    for (batch, key) in batches.iter_mut().zip(["1", "2", "3", "4"]) {
        write(&mut keeper, batch, Some(key)).unwrap();
    }
    let files = left(&outer);
    assert_eq!(files.len(), 3);
    assert!(files.contains(&vec![kept("1", &texts[0])]) && files.contains(&vec![kept("2", &texts[1])]));
    assert!(files.contains(&vec![kept("3", &texts[2]), kept("4", &texts[3])]));
    // The file does not know the halves. That of the second one begins behind the first file's places.
    let [first, second] = batches[1].split().unwrap();
    done(&mut keeper, &first, "half", false);
    assert!(left(&outer).contains(&vec![(None, vec!["b".to_owned()])]));
    done(&mut keeper, &second, "other half", false);
    done(&mut keeper, &batches[3], "4", true);
    done(&mut keeper, &batches[0], "1", true);
    assert_eq!(left(&outer), [[kept("3", &texts[2])]]);
    done(&mut keeper, &batches[2], "3", true);
    assert!(left(&outer).is_empty());
}

#[test]
fn what_a_file_has_taken_counts_against_the_room_of_the_folder() {
    let (outer, mut old) = keeper(Durability::Process);
    keep(&mut old, &mut batch(&[&"1".repeat(16 * 1024 * 1024 - 100_000)]), KEY).unwrap();
    let mut keeper = another(&outer, Durability::Process, no_replays());
    let half = "2".repeat(60_000);
    keep(&mut keeper, &mut batch(&[&half]), "first").unwrap();
    let refused = keep(&mut keeper, &mut batch(&[&half]), "second");
    assert!(matches!(refused, Err(KeepError::Full)), "{refused:?}");
}

/// Whether the keeper holds its files, so that no replay can send them.
fn holds_its_files(outer: &TempDir) -> bool {
    let folder = store(outer, "spool", Durability::Process).open_own().unwrap().unwrap();
    let files = folder.files().unwrap();
    assert!(!files.is_empty());
    files.iter().all(|file| folder.lock(&file.name).unwrap().is_none())
}

#[test]
fn a_file_with_only_kept_events_is_released_for_a_replay_and_no_other_is() {
    let (outer, mut keeper) = keeper(Durability::Process);
    let (mut on_its_way, mut lost) = (batch(&["1"]), batch(&["2"]));
    assert!(!keeper.has(&on_its_way));
    write(&mut keeper, &mut on_its_way, Some(KEY)).unwrap();
    assert!(keeper.has(&on_its_way));
    assert!(!keeper.release());
    assert!(holds_its_files(&outer), "nothing in it is kept");
    keep(&mut keeper, &mut lost, "other").unwrap();
    assert!(!keeper.release());
    assert!(holds_its_files(&outer), "a batch in it is on its way");
    done(&mut keeper, &on_its_way, KEY, true);
    assert!(keeper.release());
    assert!(!holds_its_files(&outer));
    assert!(!keeper.release(), "there was nothing to release");
}

#[test]
fn a_folder_that_was_removed_is_made_again_for_the_first_file_too() {
    let (outer, mut keeper) = keeper(Durability::Process);
    let mut delivered = batch(&["1"]);
    write(&mut keeper, &mut delivered, Some(KEY)).unwrap();
    done(&mut keeper, &delivered, KEY, true);
    fs::remove_dir_all(outer.path().join("spool")).unwrap();
    keep(&mut keeper, &mut batch(&["2"]), "other").unwrap();
    assert_eq!(left(&outer), [[kept("other", &["2"])]]);
}

#[test]
fn an_error_says_what_is_wrong_with_the_folder() {
    let outer = tempfile::tempdir().unwrap();
    fs::write(outer.path().join("file"), "").unwrap();
    let mut keeper = keeper_of(store(&outer, "file/spool", Durability::Process), no_replays());
    let Err(KeepError::Disk(error)) = keep(&mut keeper, &mut batch(&["1"]), KEY) else {
        panic!("it was kept")
    };
    assert_eq!(error.kind(), io::ErrorKind::NotADirectory);
}

#[test]
fn of_a_batch_that_finds_no_room_the_events_that_were_written_before_are_kept() {
    let (outer, mut old) = keeper(Durability::Process);
    let large = "1".repeat(9 * 1024 * 1024);
    keep(&mut old, &mut batch(&[&large]), KEY).unwrap();
    let mut keeper = another(&outer, Durability::Process, no_replays());
    let mut batcher = Batcher::new(usize::MAX, usize::MAX);
    assert!(batcher.push(b"2", 20).is_none());
    write(&mut keeper, batcher.open_mut(), None).unwrap();
    assert!(batcher.push(large.as_bytes(), 300).is_none());
    let kept = keeper.keep_all(&mut [&mut batcher.take().unwrap()]).remove(0);
    assert_eq!(
        (kept.load, matches!(kept.error, Some(KeepError::Full))),
        (Load { events: 1, bytes: 20 }, true)
    );
    drop(keeper);
    assert!(left(&outer).contains(&vec![(None, vec!["2".to_owned()])]));
}

#[test]
fn what_is_written_again_after_the_disk_has_failed_is_in_one_file_only() {
    for durability in [Durability::Process, Durability::Power] {
        let (outer, mut keeper) = keeper(durability);
        let mut ahead = batch(&["1", "2"]);
        write(&mut keeper, &mut ahead, None).unwrap();
        keeper.sync().unwrap();
        keeper.break_journals();
        keep(&mut keeper, &mut ahead, KEY).unwrap();
        assert_eq!(left(&outer), [[kept(KEY, &["1", "2"])]]);
        keeper.done_after_all(&ahead);
        assert!(left(&outer).is_empty(), "the next run would send it again");
    }
}

#[test]
fn there_are_at_most_256_files() {
    let (outer, _) = keeper(Durability::Process);
    for _ in 0..258 {
        let mut keeper = another(&outer, Durability::Process, no_replays());
        keep(&mut keeper, &mut batch(&["1"]), KEY).unwrap();
    }
    assert_eq!(left(&outer).len(), 256);
}
