//! What the keeper knows about its files and its folder.

use super::*;

#[test]
fn only_what_must_survive_a_power_cut_waits_for_the_disk() {
    assert!(keeper(Durability::Power).1.is_synced());
    assert!(!keeper(Durability::Process).1.is_synced());
}

#[test]
fn a_batch_that_was_delivered_after_all_is_not_among_the_kept_ones() {
    let (_outer, mut keeper) = keeper(Durability::Process);
    let (mut late, mut on_its_way) = (batch(&["1", "2"]), batch(&["3"]));
    keep(&mut keeper, &mut late, KEY).unwrap();
    write(&mut keeper, &mut on_its_way, Some("on its way")).unwrap();
    keeper.done_after_all(&late);
    assert!(!keeper.release());
    assert!(keeper.has(&on_its_way), "of its file nothing is kept");
}

#[test]
fn a_folder_that_was_counted_early_is_used_without_another_look() {
    let (outer, mut first) = keeper(Durability::Process);
    keep(&mut first, &mut batch(&["1"]), KEY).unwrap();
    let mut second = another(&outer, Durability::Process, no_replays());
    second.prepare();
    drop(first);
    // The keeper does not notice that the folder is full now.
    let account = fs::read_dir(outer.path().join("spool")).unwrap().next().unwrap().unwrap().path();
    let other = account.join("0123456789abcdef.tlm");
    fs::File::create(&other).unwrap().set_len(16 * 1024 * 1024).unwrap();
    second.prepare();
    keep(&mut second, &mut batch(&["2"]), KEY).unwrap();
    assert!(other.exists());
}

#[test]
fn events_of_a_broken_file_are_kept_although_the_file_after_it_is_removed_with_the_folder() {
    let (outer, mut keeper) = keeper(Durability::Process);
    let mut ahead = batch(&["1", "2"]);
    write(&mut keeper, &mut ahead, None).unwrap();
    keeper.break_journals();
    keep(&mut keeper, &mut batch(&["3"]), "other").unwrap();
    fs::remove_dir_all(outer.path().join("spool")).unwrap();
    keep(&mut keeper, &mut ahead, KEY).unwrap();
    assert_eq!(left(&outer), [[kept(KEY, &["1", "2"])]]);
}
