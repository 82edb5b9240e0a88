//! Keeps events through a `SIGKILL` at each system call of a keep and of a replay, and through errors of the disk. `strace`
//! causes them.

use std::collections::BTreeSet;
use std::env;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use tinker_telemetry::{Durability, Severity};

use crate::Scene;
use crate::killed::{builder_of_child, missing, output_of, reporter_of_child, start_with};
use crate::support::LIMIT;

/// What touches files. Each thread's calls are counted apart.
const CALLS: &str = "openat,mkdir,mkdirat,flock,fstat,statx,newfstatat,pwrite64,pread64,ftruncate,fdatasync,fsync,unlinkat,getdents64";

/// This binary's test under strace with this fault; `None` where there is no strace, which is said.
fn traced(fault: &str) -> Option<Command> {
    let works = Command::new("strace").args(["-o", "/dev/null", "true"]).output();
    if !works.is_ok_and(|output| output.status.success()) {
        assert!(env::var_os("REQUIRE_REAL_SERVERS").is_none(), "CI has strace");
        eprintln!("skipped: strace is not here, or may not trace");
        return None;
    }
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-o", "/dev/null", "-e"]).arg(format!("inject={fault}"));
    command.arg(env::current_exe().unwrap());
    Some(command)
}

fn ids(scene: &Scene) -> BTreeSet<String> {
    scene.events().iter().map(|event| event["event_id"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_kill_at_any_system_call_of_a_keep_loses_nothing_that_was_counted_as_kept() {
    if let Some(reporter) = reporter_of_child(Durability::Power) {
        for name in ["one", "two", "three"] {
            assert!(reporter.log(name, (), Severity::Info));
            assert!(reporter.wait_until_drained(LIMIT));
            println!("<{} {name}", reporter.stats().spooled);
        }
        return;
    }
    let mut acknowledgements = BTreeSet::new();
    for call in CALLS.split(',') {
        for nth in 1..=6 {
            let Some(command) = traced(&format!("{call}:signal=SIGKILL:when={nth}")) else { return };
            let scene = Scene::new();
            let test = "traced::a_kill_at_any_system_call_of_a_keep_loses_nothing_that_was_counted_as_kept";
            let (mut child, output) = start_with(command, test, &scene);
            let output = std::io::read_to_string(output).unwrap();
            child.wait().unwrap();
            let names: BTreeSet<_> = scene
                .events()
                .iter()
                .filter_map(|event| event["event_name"].as_str().map(str::to_owned))
                .collect();
            let kept: Vec<_> = output.lines().filter_map(|line| line.split_once('<')).collect();
            for (_, kept) in &kept {
                let (count, name) = kept.split_once(' ').unwrap();
                assert!(count == "0" || names.contains(name), "{call} {nth}: {name} is not in {names:?}");
            }
            acknowledgements.insert(kept.len());
            // What is there can be sent, whatever state it is in.
            let left = ids(&scene);
            let collector = scene.collector();
            let _next = scene.run().start().unwrap();
            crate::until("all are delivered", || missing(&left, &collector, &Scene::new()).is_empty());
        }
    }
    assert!(acknowledgements.len() > 1, "no kill came in between: {acknowledgements:?}");
}

#[test]
fn a_kill_at_any_system_call_of_a_replay_loses_nothing() {
    if let Some(reporter) = reporter_of_child(Durability::Process) {
        crate::until("the replay is over", || {
            let replayed = reporter.stats().replayed;
            replayed.delivered == 4 && replayed.pending == 0
        });
        return;
    }
    for call in CALLS.split(',') {
        for nth in 1..=4 {
            let Some(command) = traced(&format!("{call}:signal=SIGKILL:when={nth}")) else { return };
            let scene = Scene::new();
            scene.leave(&["one", "two"]);
            scene.leave(&["three", "four"]);
            let expected = ids(&scene);
            let collector = scene.collector();
            let test = "traced::a_kill_at_any_system_call_of_a_replay_loses_nothing";
            let (mut child, output) = start_with(command, test, &scene);
            drop(std::io::read_to_string(output));
            child.wait().unwrap();
            assert_eq!(missing(&expected, &collector, &scene), Vec::<String>::new(), "{call} {nth}");
        }
    }
}

#[test]
fn a_disk_that_fails_costs_what_it_did_not_take_and_is_never_synced_again() {
    if let Some(reporter) = reporter_of_child(Durability::Power) {
        assert!(reporter.log("one", (), Severity::Info));
        reporter.wait_until_drained(LIMIT);
        let stats = reporter.stats();
        crate::support::assert_adds_up(stats);
        println!("kept {} of {}", stats.spooled, stats.accepted);
        return;
    }
    for fault in [
        "fdatasync:error=EIO",
        "pwrite64:error=ENOSPC",
        "pwrite64:error=EIO",
        "mkdirat:error=EROFS",
        "flock:error=ENOLCK",
    ] {
        let Some(command) = traced(fault) else { return };
        let scene = Scene::new();
        let test = "traced::a_disk_that_fails_costs_what_it_did_not_take_and_is_never_synced_again";
        let output = output_of(command, test, &scene);
        assert!(output.contains("kept 0 of 2"), "{fault}: {output}");
        assert_eq!(scene.files(), Vec::<PathBuf>::new(), "{fault}");
    }
}

#[test]
fn a_file_that_the_disk_has_stays_when_the_next_one_cannot_be_synced() {
    const FILE: usize = 18;
    if let Some(reporter) = reporter_of_child(Durability::Power) {
        // Each wait is one sync. A file of 1 MiB gets no more.
        for _ in 0..FILE {
            assert!(reporter.log("one", "x".repeat(60_000), Severity::Info));
            assert!(reporter.wait_until_drained(LIMIT));
        }
        assert!(reporter.log("another", (), Severity::Info));
        reporter.wait_until_drained(LIMIT);
        println!("kept {}", reporter.stats().spooled - 1); // without the start of the session
        return;
    }
    let Some(command) = traced(&format!("fdatasync:error=EIO:when={}+", FILE + 1)) else { return };
    let scene = Scene::new();
    let test = "traced::a_file_that_the_disk_has_stays_when_the_next_one_cannot_be_synced";
    let output = output_of(command, test, &scene);
    assert!(output.contains(&format!("kept {FILE}\n")), "{output}");
    assert_eq!((scene.files().len(), scene.events().len()), (1, FILE + 1));
}

#[test]
fn a_disk_that_takes_lines_and_fails_to_sync_them_has_one_warning() {
    if let Some((builder, spool)) = builder_of_child() {
        crate::log::keep();
        let spool = spool.durability(Durability::Power).write_ahead(Duration::from_millis(200));
        let reporter = builder.spool(spool).max_retries(0).start().unwrap();
        for name in ["one", "two", "three"] {
            assert!(reporter.log(name, (), Severity::Info));
            assert!(reporter.wait_until_drained(LIMIT));
        }
        println!("<{}", crate::log::warnings_with("cannot keep events in its spool").len());
        return;
    }
    let Some(command) = traced("fdatasync:error=EIO") else { return };
    let scene = Scene::new();
    let test = "traced::a_disk_that_takes_lines_and_fails_to_sync_them_has_one_warning";
    let output = output_of(command, test, &scene);
    assert!(output.contains("<1"), "{output}");
}

#[test]
fn a_healthy_run_looks_for_the_folder_once_and_makes_nothing() {
    if let Some(reporter) = reporter_of_child(Durability::Process) {
        for _ in 0..3 {
            assert!(reporter.log("one", (), Severity::Info));
            assert!(reporter.wait_until_drained(LIMIT));
        }
        assert!(reporter.stop(LIMIT));
        assert_eq!(reporter.stats().delivered, 5);
        return;
    }
    if traced("openat:error=EIO:when=60000").is_none() {
        return;
    }
    let scene = Scene::new();
    let _collector = scene.collector();
    let trace = scene.outer.path().join("trace");
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-e", "trace=%file", "-o"]).arg(&trace).arg(env::current_exe().unwrap());
    let test = "traced::a_healthy_run_looks_for_the_folder_once_and_makes_nothing";
    output_of(command, test, &scene);
    let trace = std::fs::read_to_string(trace).unwrap();
    let folder = scene.folder().display().to_string();
    let calls: Vec<_> =
        trace.lines().filter(|line| line.contains(&folder) && !line.contains("execve")).collect();
    assert_eq!(calls.len(), 1, "{calls:#?}");
}

#[test]
fn what_a_stop_keeps_for_a_power_cut_costs_one_wait_for_the_disk_and_not_one_a_batch() {
    if let Some(reporter) = reporter_of_child(Durability::Power) {
        for _ in 0..2_000 {
            assert!(reporter.log("one", (), Severity::Info));
        }
        assert!(reporter.stop(LIMIT));
        println!("<{}", reporter.stats().spooled);
        return;
    }
    if traced("openat:error=EIO:when=60000").is_none() {
        return;
    }
    let scene = Scene::new();
    let trace = scene.outer.path().join("trace");
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-e", "trace=fdatasync,fsync", "-o"]).arg(&trace);
    command.arg(env::current_exe().unwrap());
    let test = "traced::what_a_stop_keeps_for_a_power_cut_costs_one_wait_for_the_disk_and_not_one_a_batch";
    let output = output_of(command, test, &scene);
    assert!(output.contains("<2002"), "{output}");
    // The flushes before the stop keep what they find, too.
    let trace = std::fs::read_to_string(trace).unwrap();
    let syncs = trace.lines().count();
    assert!((2..=12).contains(&syncs), "{syncs} for 21 batches");
    assert_eq!(trace.matches(" fsync(").count(), 1, "the name of the file is on the disk too");
}
