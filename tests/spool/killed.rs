//! Keeps events through `kill -9` of processes that keep and of those that replay: what counted as kept is delivered, or in a
//! file.

use std::collections::BTreeSet;
use std::env;
use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};

use tinker_telemetry::collector::Collector;
use tinker_telemetry::{Builder, Config, Durability, Reporter, Severity, Spool};

use crate::Scene;
use crate::support::{KEY, LIMIT, SESSION};

/// In a child: the folder, and what to report to.
const FOLDER: &str = "TINKER_TEST_FOLDER";
const URL: &str = "TINKER_TEST_URL";

/// How many processes are killed: some in CI, ten thousand by the command in CONTRIBUTING.md.
fn kills() -> usize {
    env::var("SPOOL_KILLS").map_or(24, |kills| kills.parse().unwrap())
}

/// The processes that share the folder.
const AT_ONCE: usize = 8;

/// This binary again with the one test, as a process that keeps or replays.
pub fn start(test: &str, scene: &Scene) -> (Child, BufReader<ChildStdout>) {
    start_with(Command::new(env::current_exe().unwrap()), test, scene)
}

/// The same by a command that starts it.
pub fn start_with(mut command: Command, test: &str, scene: &Scene) -> (Child, BufReader<ChildStdout>) {
    let mut child = command
        .args([test, "--exact", "--nocapture", "--test-threads=1"])
        .env(FOLDER, scene.folder())
        .env(URL, format!("http://127.0.0.1:{}", scene.port))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let output = BufReader::new(child.stdout.take().unwrap());
    (child, output)
}

/// Runs a child to its end, which must be a good one. Returns what it prints.
pub fn output_of(command: Command, test: &str, scene: &Scene) -> String {
    let started = format!("{command:?}");
    let (mut child, output) = start_with(command, test, scene);
    let output = std::io::read_to_string(output).unwrap();
    assert!(child.wait().unwrap().success(), "{started}: {output}");
    output
}

/// The settings and the spool of a child; `None` in the process that runs the tests.
pub fn builder_of_child() -> Option<(Builder, Spool)> {
    let spool = Spool::at(env::var_os(FOLDER)?);
    let config = Config::new(KEY).base_url(env::var(URL).unwrap());
    Some((Reporter::builder(config, SESSION).enabled(true), spool))
}

/// The reporter of a child, likewise.
pub fn reporter_of_child(durability: Durability) -> Option<Reporter> {
    let (builder, spool) = builder_of_child()?;
    Some(builder.spool(spool.durability(durability)).start().unwrap())
}

/// Logs events until the folder is full, and prints which are kept.
pub fn write_until_full(reporter: &Reporter) -> ! {
    for number in 0_u64.. {
        let name = format!("{}-{number}", std::process::id());
        assert!(reporter.log(name.clone(), (), Severity::Info));
        if number % 3 == 2 {
            if !reporter.wait_until_drained(LIMIT) {
                break; // what finds no room stays in memory
            }
            println!("kept {name}");
        }
    }
    println!("full");
    loop {
        std::thread::park();
    }
}

/// The events up to the one that a child said was kept last.
pub fn acknowledged(output: &mut impl BufRead, acknowledgements: usize) -> Vec<String> {
    let mut names = Vec::new();
    for line in output.lines().map_while(Result::ok) {
        if line.ends_with("full") {
            break;
        }
        let Some((_, name)) = line.rsplit_once("kept ") else { continue };
        let (process, last) = name.split_once('-').unwrap();
        names = (0..=last.parse::<u64>().unwrap()).map(|number| format!("{process}-{number}")).collect();
        if names.len() / 3 >= acknowledgements {
            break;
        }
    }
    names
}

#[test]
fn a_killed_program_loses_nothing_that_it_kept() {
    if let Some(reporter) = reporter_of_child(Durability::Process) {
        write_until_full(&reporter);
    }
    let scene = Scene::new();
    let mut expected = BTreeSet::new();
    for round in 0..kills().div_ceil(AT_ONCE) {
        let mut children: Vec<_> = (0..AT_ONCE)
            .map(|_| start("killed::a_killed_program_loses_nothing_that_it_kept", &scene))
            .collect();
        for (at, (_, output)) in children.iter_mut().enumerate() {
            expected.extend(acknowledged(output, 1 + (round + at) % 5));
        }
        for (child, output) in &mut children {
            child.kill().unwrap();
            child.wait().unwrap();
            expected.extend(acknowledged(output, usize::MAX));
        }
        // What was kept is there, whatever else is.
        let names: BTreeSet<_> = scene
            .events()
            .iter()
            .filter_map(|event| event["event_name"].as_str().map(str::to_owned))
            .collect();
        let lost: Vec<_> = expected.difference(&names).collect();
        assert!(lost.is_empty(), "{lost:?}");
        std::fs::remove_dir_all(scene.folder()).unwrap();
        expected.clear();
    }
}

#[test]
fn a_killed_replay_loses_nothing() {
    if let Some(reporter) = reporter_of_child(Durability::Process) {
        println!("started");
        loop {
            assert!(reporter.wait_until_drained(LIMIT));
            std::thread::park();
        }
    }
    let scene = Scene::new();
    let mut expected = BTreeSet::new();
    let names = ["one", "two", "three", "four", "five", "six"];
    for _ in 0..AT_ONCE {
        scene.leave(&names);
    }
    let id = |event: &serde_json::Value| event["event_id"].as_str().unwrap().to_owned();
    expected.extend(scene.events().iter().map(id));
    assert_eq!(expected.len(), AT_ONCE * names.len());
    let collector = scene.collector();
    for _ in 0..kills() {
        let (mut child, mut output) = start("killed::a_killed_replay_loses_nothing", &scene);
        let mut line = String::new();
        while !line.contains("started") {
            line.clear();
            assert!(output.read_line(&mut line).unwrap() > 0);
        }
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(missing(&expected, &collector, &scene), Vec::<String>::new());
    }
    let _last = scene.run().start().unwrap();
    crate::until("the last run sends the rest", || scene.spool().status().unwrap().events == 0);
    assert_eq!(missing(&expected, &collector, &scene), Vec::<String>::new());
}

/// What is neither delivered nor in a file.
pub fn missing(expected: &BTreeSet<String>, collector: &Collector, scene: &Scene) -> Vec<String> {
    // The files first: what is taken from them meanwhile has been delivered.
    let mut there: BTreeSet<_> =
        scene.events().iter().map(|event| event["event_id"].as_str().unwrap().to_owned()).collect();
    there.extend(
        collector
            .events()
            .iter()
            .map(|event| serde_json::to_value(event).unwrap()["event_id"].as_str().unwrap().to_owned()),
    );
    expected.difference(&there).cloned().collect()
}
