//! Keeps bad folders and failing disks cheap: on folders that are not the spool's alone, and on disks that fail, the program
//! loses what it would lose without a spool, and nothing else.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::time::{Duration, Instant};

use tinker_telemetry::{Severity, Spool};

use crate::process::{alone, limit_file_size};
use crate::support::{LIMIT, assert_adds_up};
use crate::{Scene, files_below, until};

/// Runs offline, and says how many events were kept and how many were lost.
fn run_offline(scene: &Scene, spool: Spool) -> (u64, u64) {
    let builder = scene.run().spool(spool).max_retries(1).retry_base_delay(Duration::from_millis(1));
    let reporter = builder.start().unwrap();
    for _ in 0..3 {
        assert!(reporter.log("one", (), Severity::Info));
    }
    assert!(reporter.wait_until_drained(LIMIT));
    let stats = reporter.stats();
    assert_adds_up(stats);
    assert_eq!(stats.pending, 0);
    (stats.spooled, stats.dropped.deadline + stats.dropped.retries_exhausted)
}

#[test]
fn a_folder_that_is_open_to_others_or_a_link_or_a_file_is_not_used() {
    let scene = Scene::new();
    fs::create_dir(scene.folder()).unwrap();
    fs::set_permissions(scene.folder(), fs::Permissions::from_mode(0o777)).unwrap();
    assert_eq!(run_offline(&scene, scene.spool()), (0, 3));
    assert!(scene.files().is_empty());
    let link = scene.outer.path().join("link");
    let target = scene.outer.path().join("target");
    fs::create_dir(&target).unwrap();
    fs::set_permissions(&target, fs::Permissions::from_mode(0o700)).unwrap();
    symlink(&target, &link).unwrap();
    assert_eq!(run_offline(&scene, Spool::at(&link)), (0, 3));
    assert!(files_below(&target).is_empty());
    fs::write(scene.outer.path().join("file"), "mine").unwrap();
    assert_eq!(run_offline(&scene, Spool::at(scene.outer.path().join("file"))), (0, 3));
    assert_eq!(run_offline(&scene, Spool::at(scene.outer.path().join("file/below"))), (0, 3));
    assert_eq!(fs::read(scene.outer.path().join("file")).unwrap(), b"mine");
    assert_eq!(run_offline(&scene, Spool::at("/proc/no-such-folder/telemetry")), (0, 3));
}

#[test]
fn a_disk_that_is_full_keeps_whole_lines_and_costs_only_what_did_not_fit() {
    alone("disk::a_disk_that_is_full_keeps_whole_lines_and_costs_only_what_did_not_fit", "", |_| {
        let scene = Scene::new();
        let reporter = scene.run().max_retries(0).start().unwrap();
        limit_file_size(2000);
        let mut expected = 0;
        for _ in 0..30 {
            assert!(reporter.log("one", "a text that takes room", Severity::Info));
            assert!(reporter.wait_until_drained(LIMIT));
            let stats = reporter.stats();
            assert_adds_up(stats);
            assert_eq!((stats.pending, stats.spooled + stats.dropped.total()), (0, stats.accepted));
            expected = stats.spooled;
        }
        assert!((1..30).contains(&expected), "{expected}");
        assert_eq!(scene.spool().status().unwrap().events, expected);
        for file in scene.files() {
            assert!(fs::read(file).unwrap().ends_with(b"\n"), "a line that is not whole");
        }
    });
}

#[test]
fn a_folder_that_is_deleted_while_the_program_runs_is_made_again() {
    let scene = Scene::new();
    let reporter = scene.run().start().unwrap();
    for name in ["one", "two"] {
        assert!(reporter.log(name, (), Severity::Info));
        assert!(reporter.wait_until_drained(LIMIT));
        assert_eq!(scene.events().len(), 1);
        fs::remove_dir_all(scene.folder()).unwrap();
    }
}

#[test]
fn files_of_others_in_the_folder_are_neither_read_nor_removed() {
    let scene = Scene::new();
    scene.leave(&["one"]);
    let file = scene.files().remove(0);
    for number in 0..1000 {
        fs::write(file.with_file_name(format!("theirs-{number}")), "theirs").unwrap();
    }
    let collector = scene.collector();
    let began = Instant::now();
    let _next = scene.run().start().unwrap();
    until("what is the spool's is sent", || !file.exists());
    assert!(began.elapsed() < LIMIT);
    assert_eq!((collector.events().len(), scene.files().len()), (1, 1000));
}
