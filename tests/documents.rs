//! Keeps the documents true: their commands, their links, their table of settings, and the features that they explain.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Component, Path, PathBuf};

/// The documents for users and contributors.
const DOCUMENTS: &[&str] = &[
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "README.md",
    "SECURITY.md",
    "docs/coming-from.md",
    "docs/events.md",
    "docs/faults.md",
    "docs/fleet.md",
    "docs/peers.md",
];

/// The commands of the documents that CI does not run, each with the reason.
const NOT_IN_CI: &[(&str, &str)] = &[
    (
        "FAULT_REPEAT=12 cargo test --release --all-features --test fault ends_on_time -- --nocapture",
        "9 minutes; CI plays each once",
    ),
    (
        "TRUTH_SCRIPTS=100000 cargo test --release --all-features --test fault truth",
        "the long form of what CI plays 10 000 times",
    ),
    (
        "SPOOL_KILLS=10000 cargo test --all-features --release --test spool killed",
        "the long form of what CI plays some dozens of times",
    ),
    (
        "SPOOL_POWER_CUTS=200 cargo test --all-features --release --test spool power",
        "the long form of what CI plays twice",
    ),
    (
        "cargo run --release --manifest-path benches/peers/Cargo.toml",
        "builds a hundred other crates, and measures times",
    ),
    ("cargo bench --all-features", "measures times, which needs an idle machine"),
    ("cargo bench --all-features --bench program_ends", "measures times, which needs an idle machine"),
    ("cargo bench --all-features --bench in_flight", "measures times, which needs an idle machine"),
    ("cargo bench --all-features --bench outage", "measures times, which needs an idle machine"),
    ("cargo tree -e normal,no-proc-macro", "prints a list for a reader"),
    ("cargo test --all-features --test it NAME", "runs one test"),
    ("cargo run --all-features --example sdk_client", "tests/examples runs it"),
    ("cargo run --all-features --example next_run", "tests/examples runs it"),
    (
        "RUST_BACKTRACE=1 TINKER_TELEMETRY=print cargo run --all-features --example cli_tool -- src",
        "tests/examples runs it, and compares the output",
    ),
    (
        "TINKER_TELEMETRY=print cargo run --all-features --example service -- --listen 127.0.0.1:0 --demo",
        "tests/examples runs it, and compares the output",
    ),
    ("cargo mutants", "takes hours"),
    (
        "cargo run --all-features --example otlp -- http://localhost:4318",
        "needs a collector; tests/examples runs it against one on loopback",
    ),
    (
        "cargo run -p tinker-telemetry-viewer -- run -- cargo run --all-features --example quickstart",
        "keeps the page up until Ctrl-C; the viewer's tests do the same with an end",
    ),
    ("REQUIRE_REAL_SERVERS=1 cargo test --all-features", "CI exports the variable"),
];

fn read(document: &str) -> String {
    fs::read_to_string(document).unwrap_or_else(|error| panic!("{document}: {error}"))
}

/// The code of a document: the lines of its code blocks, and each text between backticks as one line.
fn code_of(document: &str) -> Vec<String> {
    let text = read(document);
    let mut code = Vec::new();
    for (nth, part) in text.split("```").enumerate() {
        if nth % 2 == 1 {
            code.extend(part.lines().map(str::to_owned));
        } else {
            let spans = part.split('`').skip(1).step_by(2);
            code.extend(spans.map(|span| span.split_whitespace().collect::<Vec<_>>().join(" ")));
        }
    }
    code
}

#[test]
fn ci_runs_the_commands_that_the_documents_give() {
    let ci = read(".ci/run");
    let ci: Vec<_> = ci.lines().filter(|line| !line.starts_with('#')).collect();
    // The command must end here or before a separator.
    let is_run = |command: &str| {
        let mut rests = ci.iter().filter_map(|line| line.split_once(command)).map(|(_, rest)| rest);
        rests.any(|rest| rest.is_empty() || rest.trim_start().starts_with([';', '#', '\'', '|']))
    };
    let mut commands: Vec<_> = DOCUMENTS
        .iter()
        .filter(|document| **document != "CHANGELOG.md")
        .flat_map(|document| code_of(document))
        .collect();
    commands.retain(|code| code.split(' ').find(|word| !word.contains('=')) == Some("cargo"));
    for (command, reason) in NOT_IN_CI {
        assert!(
            commands.iter().any(|other| other == command),
            "{command}: {reason}, and no document names it"
        );
    }
    commands.retain(|command| NOT_IN_CI.iter().all(|(other, _)| other != command));
    assert!(commands.len() >= 5, "{commands:?}");
    for command in commands {
        assert!(is_run(&command), "CI does not run `{command}`");
    }
}

/// The original `Cargo.toml`. In a published package Cargo has rewritten the file and keeps the original beside it.
fn cargo_toml() -> String {
    fs::read_to_string("Cargo.toml.orig").unwrap_or_else(|_| read("Cargo.toml"))
}

/// The patterns of the published files in `Cargo.toml`.
fn published() -> Vec<String> {
    let cargo = cargo_toml();
    let (_, list) = cargo.split_once("\ninclude = [").unwrap();
    let (list, _) = list.split_once(']').unwrap();
    list.split('"').skip(1).step_by(2).map(str::to_owned).collect()
}

fn is_published(path: &Path, patterns: &[String]) -> bool {
    let path = format!("/{}", path.to_str().unwrap());
    patterns.iter().any(|pattern| match pattern.split_once('*') {
        Some((before, after)) => {
            let between = path.strip_prefix(before).and_then(|rest| rest.strip_suffix(after));
            between.is_some_and(|between| !between.contains('/'))
        }
        None => path == *pattern || path.starts_with(&format!("{pattern}/")),
    })
}

/// The path without `..`.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => assert!(plain.pop(), "{} is outside the project", path.display()),
            part => plain.push(part),
        }
    }
    plain
}

#[test]
fn every_linked_file_exists_and_is_published() {
    let patterns = published();
    let mut links = 0;
    for document in DOCUMENTS {
        assert!(is_published(Path::new(document), &patterns), "{document} is not in the package");
        for link in read(document).split("](").skip(1).map(|rest| rest.split(')').next().unwrap().to_owned())
        {
            if link.starts_with("http") || link.starts_with('#') {
                continue;
            }
            let file = plain(&Path::new(document).with_file_name("").join(link.split('#').next().unwrap()));
            assert!(file.exists(), "{document} links to {link}");
            assert!(
                is_published(&file, &patterns),
                "{document} links to {link}, which is not in the package"
            );
            links += 1;
        }
    }
    assert!(links >= 8, "{links} links");
}

#[test]
fn every_feature_is_explained_in_cargo_toml_the_crate_docs_and_the_readme() {
    let (cargo, lib, readme) = (cargo_toml(), read("src/lib.rs"), read("README.md"));
    let (_, features) = cargo.split_once("[features]\n").unwrap();
    let (features, _) = features.split_once("\n[").unwrap();
    let mut line_before = "";
    let mut explained = 0;
    for line in features.lines() {
        if let Some((name, _)) =
            line.split_once(" = ").filter(|(name, _)| !["default", "_internals"].contains(name))
        {
            assert!(line_before.starts_with("# "), "Cargo.toml does not explain {name}");
            assert!(
                lib.contains(&format!("\n//! - `{name}`")),
                "the crate's documentation does not mention {name}"
            );
            assert!(readme.contains(&format!("`{name}`")), "README does not mention {name}");
            explained += 1;
        }
        line_before = line;
    }
    assert!(explained >= 6, "features in {features}");
}

/// The setters of a file: the name of each, and its documentation as one line.
fn setters(file: &str) -> Vec<(String, String)> {
    let text = read(file);
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
    let lines = text.lines().rev().skip(1); // the beginning of the function's own line
    let mut lines: Vec<_> = lines.map_while(|line| line.trim().strip_prefix("///")).map(str::trim).collect();
    lines.reverse();
    lines.join(" ")
}

#[test]
fn the_table_of_settings_in_the_readme_agrees_with_the_builder() {
    let readme = read("README.md");
    let (_, table) = readme.split_once("| setting | default |").unwrap();
    let (table, _) = table.split_once("\n\n").unwrap();
    let defaults: BTreeMap<_, _> = table
        .lines()
        .skip(2)
        .map(|row| row.split('|').map(str::trim).collect::<Vec<_>>())
        .map(|cells| (cells[1].trim_matches('`').to_owned(), cells[2].to_owned()))
        .collect();
    let setters = setters("src/reporter/builder/mod.rs");
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
fn every_setter_documents_its_default_and_is_in_the_readme() {
    let readme = read("README.md");
    let files = ["src/reporter/builder/mod.rs", "src/model/config/mod.rs", "src/model/config/otlp/mod.rs"];
    for (name, docs) in files.into_iter().flat_map(setters) {
        assert!(docs.contains("Defaults to "), "the documentation of {name} has no default");
        assert!(readme.contains(&format!("`{name}`")), "README does not mention {name}");
    }
}

/// The text of each file below a folder, or of a file.
fn texts_below(path: &Path) -> Vec<(PathBuf, String)> {
    if path.is_file() {
        return fs::read_to_string(path).map(|text| vec![(path.to_owned(), text)]).unwrap_or_default();
    }
    let entries = fs::read_dir(path).unwrap();
    entries.flat_map(|entry| texts_below(&entry.unwrap().path())).collect()
}

#[test]
fn the_session_ids_of_documents_and_examples_are_uuids() {
    let documents = DOCUMENTS.iter().map(Path::new);
    let paths = documents.chain(["examples", "src"].map(Path::new));
    let texts = paths.flat_map(texts_below).filter(|(path, _)| !path.ends_with("tests.rs"));
    let mut uuids = 0;
    for (path, text) in texts {
        let comments = text.lines().filter(|line| {
            !path.starts_with("src") || ["///", "//!"].iter().any(|mark| line.trim().starts_with(mark))
        });
        for line in comments {
            assert!(!line.contains("\"session-"), "{}: {line}", path.display());
            uuids += line.matches("0a6e4b8c-5d1f-4c53-9b7e-2f8d1c3a9e64").count();
        }
    }
    assert!(uuids > 20, "{uuids}");
}

/// Whether there is a file or folder of this name in the project or in `src`. A file's ending may be left out.
fn exists_in_project_or_src(name: &str) -> bool {
    ["", "src/"].iter().any(|root| {
        let path = format!("{root}{}", name.trim_end_matches('/'));
        Path::new(&path).exists() || Path::new(&format!("{path}.rs")).exists()
    })
}

/// Whether `src` has a function of this name, and a type of this one.
fn has_method(code: &str, type_name: &str, function: &str) -> bool {
    let has_type =
        ["struct ", "enum ", "trait "].iter().any(|kind| code.contains(&format!("{kind}{type_name}")));
    has_type && code.contains(&format!("fn {function}"))
}

#[test]
fn every_path_module_and_method_that_the_architecture_names_exists() {
    let patterns = published();
    let is_package = Path::new("Cargo.toml.orig").exists();
    let sources = texts_below(Path::new("src"));
    let code: String = sources.iter().map(|(_, text)| text.as_str()).collect();
    let mut checked = 0;
    let text = read("ARCHITECTURE.md");
    let (pictures, spans): (Vec<_>, Vec<_>) =
        text.split("```").enumerate().partition(|(nth, _)| nth % 2 == 1);
    assert!(!pictures.is_empty());
    for name in spans.iter().flat_map(|(_, part)| part.split('`').skip(1).step_by(2)) {
        if name.contains(' ') {
            continue;
        }
        let exists = match name.split_once("::") {
            Some((first, second)) if first.starts_with(char::is_uppercase) => {
                has_method(&code, first, second)
            }
            Some(_) => exists_in_project_or_src(&name.replace("::", "/")),
            None if name.contains('/') || Path::new(name).extension().is_some() => {
                exists_in_project_or_src(name)
            }
            None => continue,
        };
        let is_left_out = is_package && !is_published(Path::new(name.trim_end_matches('/')), &patterns);
        assert!(exists || is_left_out, "ARCHITECTURE.md names {name}");
        checked += 1;
    }
    assert!(checked > 50, "{checked}");
}

#[test]
fn the_architecture_lists_each_thread_that_is_started() {
    let starts = |text: &str| -> BTreeSet<String> {
        let names = text.split("start_thread(\"").skip(1).filter_map(|rest| rest.split('"').next());
        names.filter(|name| name.starts_with("tinker-")).map(str::to_owned).collect()
    };
    let sources = texts_below(Path::new("src")).into_iter().filter(|(path, _)| !path.ends_with("tests.rs"));
    let started: BTreeSet<_> = sources.flat_map(|(_, text)| starts(&text)).collect();
    let architecture = read("ARCHITECTURE.md");
    let rows = architecture.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    let listed = rows.filter(|name| name.starts_with("tinker-")).map(str::to_owned).collect();
    assert_eq!(started, listed);
}
