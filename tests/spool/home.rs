//! Keeps what the environment says about a spool: whose home it may be in, and that a machine without a next run waits longer.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use tinker_telemetry::{Severity, Spool};

use crate::Scene;
use crate::files_below;
use crate::killed::{builder_of_child, output_of};
use crate::support::LIMIT;

/// Runs this test in a child, with these variables and no others of theirs, and gives what it prints.
fn run(test: &str, scene: &Scene, variables: &[(&str, &Path)]) -> String {
    let mut command = Command::new(std::env::current_exe().unwrap());
    for name in ["HOME", "XDG_STATE_HOME", "CI"] {
        command.env_remove(name);
    }
    command.envs(variables.iter().copied());
    output_of(command, test, scene)
}

#[test]
fn a_spool_is_below_the_state_home_or_the_home_and_never_in_that_of_another_user() {
    if let Some((builder, _)) = builder_of_child() {
        let reporter = builder.spool(Spool::for_program("my-tool")).start().unwrap();
        assert!(reporter.log("one", (), Severity::Info));
        reporter.wait_until_drained(LIMIT); // in vain without a spool
        let stats = reporter.stats();
        println!("kept {} of {}", stats.spooled, stats.accepted);
        return;
    }
    let test = "home::a_spool_is_below_the_state_home_or_the_home_and_never_in_that_of_another_user";
    let scene = Scene::new();
    let home = scene.outer.path().join("home");
    let state = scene.outer.path().join("state");
    fs::create_dir(&home).unwrap();
    fs::create_dir(&state).unwrap();
    let kept = |variables: &[(&str, &Path)]| run(test, &scene, variables).contains("kept 2 of 2");

    assert!(kept(&[("HOME", &home)]));
    assert!(!files_below(&home.join(".local/state/my-tool/telemetry")).is_empty());
    assert!(kept(&[("HOME", Path::new("/nonexistent")), ("XDG_STATE_HOME", &state)]));
    assert!(!files_below(&state.join("my-tool/telemetry")).is_empty());
    assert!(!kept(&[]), "no home");
    assert!(!kept(&[("XDG_STATE_HOME", Path::new("a/relative/path"))]));

    let theirs = scene.outer.path().join("theirs");
    fs::create_dir(&theirs).unwrap();
    if std::os::unix::fs::chown(&theirs, Some(1), None).is_err() {
        return eprintln!("skipped the rest: only root can give a folder away");
    }
    assert!(!kept(&[("HOME", &theirs)]), "sudo left the home of another user");
    assert!(fs::read_dir(&theirs).unwrap().next().is_none(), "something was made in it");
}

#[test]
fn with_a_spool_a_program_waits_300_ms_at_its_end_but_5_s_where_there_is_no_next_run() {
    if let Some((builder, spool)) = builder_of_child() {
        let reporter = builder.spool(spool).start().unwrap();
        let began = Instant::now();
        drop(reporter);
        println!("took {}", began.elapsed().as_millis());
        return;
    }
    let test = "home::with_a_spool_a_program_waits_300_ms_at_its_end_but_5_s_where_there_is_no_next_run";
    let scene = Scene::new();
    let collector = scene.collector();
    let _hold = collector.hold_answers();
    let took = |variables: &[(&str, &Path)]| {
        let printed = run(test, &scene, variables);
        let (_, took) = printed.split_once("took ").unwrap();
        Duration::from_millis(took.lines().next().unwrap().parse().unwrap())
    };
    let usual = took(&[]);
    assert!(usual < Duration::from_millis(800), "{usual:?}");
    // In five seconds an answer that does not come is waited for for one.
    let on_ci = took(&[("CI", Path::new("true"))]);
    assert!(on_ci >= Duration::from_millis(900), "{on_ci:?}");
}
