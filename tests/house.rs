//! Keeps the house: which room imports which, how large a file may be, what is public, and that the README, CI and the
//! code agree.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// What each room may import of the others. Events flow down this list, fates flow up through the ledger.
const ROOMS: &[(&str, &[&str])] = &[
    ("event", &[]),
    ("stats", &[]),
    ("error", &[]),
    ("quiet", &["stats"]),
    ("record", &["buffer", "data", "event", "stats"]),
    ("data", &["buffer", "contain", "json", "quiet", "stats"]),
    ("json", &["buffer", "stats"]),
    ("literal", &[]),
    ("buffer", &[]),
    ("as_error", &[]),
    ("contain", &[]),
    ("text", &["json"]),
    ("user_error", &["as_error"]),
    ("exception", &["record", "text", "user_error"]),
    ("panicking", &["exception", "record"]),
    ("admission", &["stats"]),
    ("ledger", &["admission", "stats"]),
    ("run", &["buffer", "record"]),
    ("shard", &["run"]),
    ("queue", &["admission", "ledger", "record", "run", "shard", "stats"]),
    ("batch", &["admission"]),
    ("numbers", &[]),
    ("encode", &["batch", "event", "json", "numbers", "record", "text"]),
    ("fork", &["contain", "quiet"]),
    ("process", &["encode", "fork"]),
    ("proxy", &["error"]),
    ("config", &["error", "proxy"]),
    ("retry", &["stats"]),
    ("transport", &["config", "contain", "encode", "error", "fork", "quiet", "retry"]),
    ("episode", &["contain", "fork", "retry", "stats"]),
    ("delivery", &["batch", "encode", "episode", "fork", "ledger", "retry", "stats", "transport"]),
    (
        "worker",
        &["admission", "batch", "contain", "delivery", "encode", "ledger", "queue", "stats", "transport"],
    ),
    ("link", &["admission", "event", "ledger", "queue", "quiet", "record", "stats", "transport"]),
    (
        "session",
        &[
            "admission",
            "as_error",
            "contain",
            "event",
            "exception",
            "fork",
            "link",
            "panicking",
            "quiet",
            "record",
            "stats",
            "user_error",
        ],
    ),
    ("reporter", &["as_error", "event", "session", "stats"]),
    ("capture", &["as_error", "event", "panicking", "reporter", "session"]),
    ("provider", &["as_error", "capture", "event", "reporter"]),
    ("collector", &["event"]),
    // Opens to fuzzing and benchmarks what they try.
    (
        "internals",
        &[
            "batch",
            "config",
            "encode",
            "error",
            "event",
            "exception",
            "numbers",
            "record",
            "retry",
            "run",
            "stats",
        ],
    ),
    // Leaves over the public surface, and as deaf and as fork-proof as the rest; a panic hook shares with captures what a
    // panic says.
    ("bridge", &["contain", "event", "fork", "panicking", "quiet", "reporter", "session", "text"]),
];

/// Each of these is named in these rooms only. (ureq's requests are made in `transport`, one of its errors is known to
/// `user_error`, and a bridge is its middleware.)
const NAMED_IN: &[(&str, &[&str])] = &[
    ("ureq::", &["transport", "user_error", "bridge"]),
    ("ureq::Agent", &["transport"]),
    ("parking_lot", &["collector"]),
    ("std::env::var", &["config"]),
    ("unsafe ", &["fork"]),
];

/// Rust files below `src`, each with its room and its text without tests and comments.
fn sources() -> Vec<(PathBuf, String, String)> {
    let mut files = Vec::new();
    collect(Path::new("src"), &mut files);
    files
        .into_iter()
        .map(|path| {
            let room = path.strip_prefix("src").unwrap().iter().next().unwrap();
            let room = room.to_str().unwrap().trim_end_matches(".rs").to_owned();
            let text = fs::read_to_string(&path).unwrap();
            let tests = text.find("\nmod tests").unwrap_or(text.len());
            let code = &text[..tests];
            let code = code.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>();
            (path, room, code.join("\n"))
        })
        .filter(|(path, ..)| !path.to_str().unwrap().ends_with("_tests.rs"))
        .collect()
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// The rooms that a file names: `crate::queue::Intake`, and `crate::{data, quiet}`. What a macro names is named where it is
/// used.
fn imports(code: &str) -> BTreeSet<String> {
    let mut rooms = BTreeSet::new();
    for rest in code.replace("$crate::", "").split("crate::").skip(1) {
        let names = match rest.strip_prefix('{') {
            Some(list) => list.split('}').next().unwrap(),
            None => rest,
        };
        for name in names.split(',') {
            let name: String =
                name.trim().chars().take_while(|letter| letter.is_alphanumeric() || *letter == '_').collect();
            rooms.insert(name);
            if !rest.starts_with('{') {
                break;
            }
        }
    }
    rooms
}

#[test]
fn rooms_import_only_what_the_plan_allows() {
    for (path, room, code) in sources() {
        if ["lib", "builder"].contains(&room.as_str()) {
            continue; // the builder introduces everybody
        }
        let (_, allowed) = ROOMS
            .iter()
            .find(|(name, _)| *name == room)
            .unwrap_or_else(|| panic!("{room} is not in the plan"));
        for import in imports(&code) {
            assert!(
                import == room || allowed.contains(&import.as_str()),
                "{} imports {import}",
                path.display()
            );
        }
    }
}

#[test]
fn the_plan_has_no_room_that_is_not_there_and_no_door_that_nobody_uses() {
    let sources = sources();
    for (room, allowed) in ROOMS {
        let used: BTreeSet<String> =
            sources.iter().filter(|(_, name, _)| name == room).flat_map(|(.., code)| imports(code)).collect();
        assert!(sources.iter().any(|(_, name, _)| name == room), "{room} is gone");
        for import in *allowed {
            assert!(used.contains(*import), "{room} does not import {import}");
        }
    }
}

#[test]
fn what_is_one_rooms_to_name_no_other_names() {
    for (path, room, code) in sources() {
        for (name, homes) in NAMED_IN {
            assert!(
                homes.contains(&room.as_str()) || !code.contains(name),
                "{} names {name}",
                path.display()
            );
        }
    }
}

#[test]
fn of_handle_owner_and_worker_only_the_owner_does_something_when_it_is_dropped() {
    let code: String = sources().into_iter().map(|(.., code)| code).collect();
    let drops = |name: &str| code.matches(&format!("Drop for {name}")).count();
    assert_eq!(["Reporter", "Owner", "Worker"].map(drops), [0, 1, 0]);
}

#[test]
fn no_file_holds_two_things() {
    for (path, ..) in sources() {
        let lines = fs::read_to_string(&path).unwrap().lines().count();
        assert!(lines <= 500, "{} has {lines} lines", path.display());
    }
}

/// What `lib.rs` makes public: the crate's interface is here and below these.
const PUBLIC: &[&str] = &[
    "mod event",
    "mod bridge",
    "mod collector",
    "mod internals",
    "mod literal",
    "use as_error::AsError",
    "use as_error::kind",
    "use builder::Builder",
    "use capture::{CapturedError, Outcome}",
    "use config::Config",
    "use error::StartError",
    "use event::Severity",
    "use provider::TelemetryProvider",
    "use reporter::{Reporter, WeakReporter}",
    "use stats::{DropReason, Dropped, RefusalReason, Refused, Stats}",
    "use user_error::{ApiError, ErrorCategory, UserError, find_user_error_in_chain}",
];

#[test]
fn nothing_becomes_public_unnoticed() {
    let (.., code) = sources().into_iter().find(|(_, room, _)| room == "lib").unwrap();
    let items = code.split("\npub ").skip(1).map(|rest| rest.split(';').next().unwrap());
    assert_eq!(items.collect::<Vec<_>>(), PUBLIC);
}

#[test]
fn every_feature_is_explained_where_it_is_looked_for() {
    let read = |file| fs::read_to_string(file).unwrap();
    let (cargo, lib, readme) = (read("Cargo.toml"), read("src/lib.rs"), read("README.md"));
    let (_, features) = cargo.split_once("[features]\n").unwrap();
    let (features, _) = features.split_once("\n[").unwrap();
    let mut line_before = "";
    let mut explained = 0;
    for line in features.lines() {
        if let Some((name, _)) =
            line.split_once(" = ").filter(|(name, _)| !["default", "_internals"].contains(name))
        {
            assert!(line_before.starts_with("# "), "Cargo.toml does not say what {name} is for");
            assert!(
                lib.contains(&format!("\n//! - `{name}`")),
                "the crate's documentation says nothing of {name}"
            );
            assert!(readme.contains(&format!("`{name}`")), "README says nothing of {name}");
            explained += 1;
        }
        line_before = line;
    }
    assert!(explained >= 6, "features in {features}");
}

#[test]
fn lib_holds_no_logic() {
    let (.., code) = sources().into_iter().find(|(_, room, _)| room == "lib").unwrap();
    assert!(!code.contains("fn "), "lib.rs only lists the rooms");
}

/// Test files that may have what no other has, each with the reason.
const MAY_SLEEP_OR_BE_IGNORED: &[(&str, &str)] = &[
    ("tests/house.rs", "names what it looks for"),
    ("tests/it/delivery/real_nginx.rs", "pauses between requests are what it tests"),
];

#[test]
fn no_test_sleeps_and_none_is_ignored() {
    let mut files = Vec::new();
    collect(Path::new("tests"), &mut files);
    for path in files {
        let text = fs::read_to_string(&path).unwrap();
        let is_found = text.contains("sleep(") || text.contains("#[ignore");
        let is_allowed = MAY_SLEEP_OR_BE_IGNORED.iter().any(|(file, _)| path == Path::new(file));
        assert_eq!(is_found, is_allowed, "{} sleeps or ignores a test", path.display());
    }
}

#[test]
fn every_test_file_begins_with_what_it_keeps() {
    let mut files = Vec::new();
    collect(Path::new("tests"), &mut files);
    for path in files {
        let text = fs::read_to_string(&path).unwrap();
        if text.contains("#[test]") || path.ends_with("main.rs") {
            assert!(text.starts_with("//! Keeps "), "{} does not say what it keeps", path.display());
        }
    }
}

/// The commands of the README that CI does not run, each with the reason.
const NOT_IN_CI: &[(&str, &str)] = &[
    (
        "FAULT_REPEAT=50 cargo test --release --test fault ends_on_time -- --nocapture",
        "takes 28 minutes; the tests play all of it once",
    ),
    (
        "cargo run --release --manifest-path benches/peers/Cargo.toml",
        "builds a hundred crates of others, and measures times",
    ),
    ("cargo bench", "measures times, for which a machine must have nothing else to do"),
    ("cargo bench --bench outage", "likewise"),
    ("cargo tree -e normal,no-proc-macro", "prints a list for people to read"),
];

/// What the README has as code: its blocks' lines, and what is between backticks, each in one line.
fn code_of_the_readme() -> Vec<String> {
    let readme = fs::read_to_string("README.md").unwrap();
    let mut code = Vec::new();
    for (nth, text) in readme.split("```").enumerate() {
        if nth % 2 == 1 {
            code.extend(text.lines().map(str::to_owned));
        } else {
            let spans = text.split('`').skip(1).step_by(2);
            code.extend(spans.map(|span| span.split_whitespace().collect::<Vec<_>>().join(" ")));
        }
    }
    code
}

#[test]
fn ci_runs_the_commands_that_the_readme_gives() {
    let ci = fs::read_to_string(".ci/run").unwrap();
    let ci: Vec<_> = ci.lines().filter(|line| !line.starts_with('#')).collect();
    // The command and no more.
    let is_run = |command: &str| {
        let mut rests = ci.iter().filter_map(|line| line.split_once(command)).map(|(_, rest)| rest);
        rests.any(|rest| rest.is_empty() || rest.trim_start().starts_with([';', '#']))
    };
    let mut commands = code_of_the_readme();
    commands.retain(|code| code.split(' ').find(|word| !word.contains('=')) == Some("cargo"));
    for (command, reason) in NOT_IN_CI {
        assert!(commands.iter().any(|other| other == command), "{command}: {reason}, and nobody asks for it");
    }
    commands.retain(|command| NOT_IN_CI.iter().all(|(other, _)| other != command));
    assert!(commands.len() >= 4, "{commands:?}");
    for command in commands {
        assert!(is_run(&command), "CI does not run `{command}`");
    }
}

/// The setters of a file, each with its name and its documentation in one line.
fn setters(file: &str) -> Vec<(String, String)> {
    let text = fs::read_to_string(file).unwrap();
    let functions =
        text.match_indices("pub fn ").map(|(at, keywords)| (&text[..at], &text[at + keywords.len()..]));
    functions
        .filter_map(|(before, function)| {
            let (name, arguments) = function.split_once('(')?;
            let is_setter = arguments.trim_start().starts_with("mut self");
            is_setter.then(|| (name.to_owned(), documentation_at_the_end_of(before)))
        })
        .collect()
}

fn documentation_at_the_end_of(text: &str) -> String {
    let lines = text.lines().rev().skip(1); // what is before the function in its own line
    let mut lines: Vec<_> = lines.map_while(|line| line.trim().strip_prefix("///")).map(str::trim).collect();
    lines.reverse();
    lines.join(" ")
}

#[test]
fn the_readme_has_the_table_of_settings_as_the_builder_has_it() {
    let readme = fs::read_to_string("README.md").unwrap();
    let (_, table) = readme.split_once("| setting | default |").unwrap();
    let (table, _) = table.split_once("\n\n").unwrap();
    let defaults: BTreeMap<_, _> = table
        .lines()
        .skip(2)
        .map(|row| row.split('|').map(str::trim).collect::<Vec<_>>())
        .map(|cells| (cells[1].trim_matches('`').to_owned(), cells[2].to_owned()))
        .collect();
    let setters = setters("src/builder.rs");
    let names: BTreeSet<_> = setters.iter().map(|(name, _)| name).collect();
    assert_eq!(defaults.keys().collect::<BTreeSet<_>>(), names);
    for (name, docs) in setters {
        let default = &defaults[&name];
        if default.starts_with(|first: char| first.is_ascii_digit()) {
            assert!(docs.contains(&format!("Defaults to {default}.")), "{name}: {default} in the README");
        }
    }
}

#[test]
fn every_setter_says_its_default_and_is_in_the_readme() {
    let readme = fs::read_to_string("README.md").unwrap();
    for (name, docs) in ["src/builder.rs", "src/config.rs"].into_iter().flat_map(setters) {
        assert!(docs.contains("Defaults to "), "what {name} defaults to");
        assert!(readme.contains(&format!("`{name}`")), "README says nothing of {name}");
    }
}
