//! Keeps bad folders and failing disks harmless: the program loses what it would lose without a spool, and nothing else.

use std::fs;
use std::io::BufRead;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::time::{Duration, Instant};

use tinker_telemetry::{Severity, Spool};

use crate::killed::{builder_of_child, start};
use crate::power::{Mounted, run};
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
fn files_of_others_in_the_folder_are_left_alone_and_delay_no_end() {
    let scene = Scene::new();
    scene.leave(&["one"]);
    let file = scene.files().remove(0);
    for number in 0..100_000 {
        fs::File::create(file.with_file_name(format!("theirs-{number}"))).unwrap();
    }
    for _ in 0..3 {
        let reporter = scene.run().start().unwrap();
        assert!(reporter.log("two", (), Severity::Info));
        assert!(reporter.stop(Duration::from_secs(2)), "{}", reporter.stats());
        assert_eq!(reporter.stats().spooled, 1);
    }
    let collector = scene.collector();
    let _next = scene.run().start().unwrap();
    until("what is the spool's is sent", || !file.exists() && collector.events().len() == 4);
    assert_eq!(fs::read_dir(file.parent().unwrap()).unwrap().count(), 100_000);
}

#[test]
fn a_disk_that_hangs_costs_no_stop_more_than_its_time() {
    if let Some((builder, spool)) = builder_of_child() {
        let reporter = builder.spool(spool).start().unwrap();
        assert!(reporter.log("one", (), Severity::Info));
        let mut line = String::new();
        std::io::stdin().lock().read_line(&mut line).unwrap(); // the disk hangs
        let began = Instant::now();
        reporter.stop(Duration::from_millis(300));
        let took = began.elapsed().as_millis();
        println!("took {took} {}", reporter.stats());
        return;
    }
    let mut scene = Scene::new();
    let outer = scene.outer.path().to_owned();
    let (image, disk) = (outer.join("image"), outer.join("disk"));
    let Some(_mounted) = Mounted::make(&image, &disk) else {
        return eprintln!("skipped: no ext4 image can be mounted here");
    };
    scene.below = "disk/telemetry".into();
    let collector = scene.collector();
    let _hold = collector.hold_answers();
    let (mut child, mut output) = start("disk::a_disk_that_hangs_costs_no_stop_more_than_its_time", &scene);
    let frozen = Frozen::freeze(&disk);
    let Some(frozen) = frozen else {
        child.kill().unwrap();
        child.wait().unwrap();
        return eprintln!("skipped: no file system can be frozen here");
    };
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), b"go\n").unwrap();
    let mut line = String::new();
    while !line.contains("took ") {
        line.clear();
        assert!(output.read_line(&mut line).unwrap() > 0);
    }
    drop(frozen);
    child.wait().unwrap();
    let (_, took) = line.split_once("took ").unwrap();
    let (took, stats) = took.split_once(' ').unwrap();
    assert!(took.parse::<u64>().unwrap() < 600, "{line}");
    assert!(stats.contains("dropped (3 deadline)"), "the counts promise no more than is known: {line}");
}

/// A file system that waits with every write until this is dropped.
struct Frozen<'a>(&'a Path);

impl<'a> Frozen<'a> {
    fn freeze(disk: &'a Path) -> Option<Self> {
        run(&["fsfreeze", "-f", disk.to_str()?])?;
        Some(Self(disk))
    }
}

impl Drop for Frozen<'_> {
    fn drop(&mut self) {
        let _ = run(&["fsfreeze", "-u", self.0.to_str().unwrap()]);
    }
}

#[test]
fn a_disk_without_room_keeps_what_fits_and_costs_only_the_rest() {
    let mut scene = Scene::new();
    let disk = scene.outer.path().join("disk");
    fs::create_dir(&disk).unwrap();
    if run(&["mount", "-t", "tmpfs", "-o", "size=64k,mode=700", "tmpfs", disk.to_str().unwrap()]).is_none() {
        return eprintln!("skipped: no file system can be mounted here");
    }
    scene.below = "disk/telemetry".into();
    let reporter = scene.run().max_retries(0).start().unwrap();
    let text = "a".repeat(4000);
    for _ in 0..30 {
        assert!(reporter.log("one", &text, Severity::Info));
        assert!(reporter.wait_until_drained(LIMIT));
    }
    let stats = reporter.stats();
    assert_adds_up(stats);
    assert!((1..30).contains(&stats.spooled) && stats.pending == 0, "{stats}");
    assert_eq!(scene.spool().status().unwrap().events, stats.spooled);
    drop(reporter);
    // On a full disk a replay can note nothing, but it can send, and then there is room.
    fs::write(disk.join("filler"), "").unwrap();
    let mut filler = fs::File::options().append(true).open(disk.join("filler")).unwrap();
    while std::io::Write::write_all(&mut filler, &[0; 512]).is_ok() {}
    let collector = scene.collector();
    let next = scene.run().start().unwrap();
    until("all is sent", || scene.files().is_empty());
    assert_eq!(
        (next.stats().replayed.delivered, collector.events().len() as u64),
        (stats.spooled, stats.spooled)
    );
    let _ = run(&["umount", "-l", disk.to_str().unwrap()]);
}
