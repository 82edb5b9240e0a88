//! Keeps the rules of the source tree: which folder imports which, the size of files and folders, the rules of tests.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The floors of `src`, from the top down: its folders and single files. A floor may import the floors below it and
/// none above. Events flow down this list to the network, and their outcomes come back through the queue's ledger.
const FLOORS: &[&str] = &[
    "internals", // makes private parts available to the fuzz targets and the benchmarks
    "bridge",
    "reporter",
    "collector",
    "session",
    "worker",
    "print",
    "spool",
    "transport",
    "wire",
    "queue",
    "failure",
    "payload",
    "process",
    "model",
];

/// Each of these names may appear only in these places. `transport` makes ureq's requests, some files of `failure` read its
/// errors, and a bridge is its middleware.
const NAMED_IN: &[(&str, &[&str])] = &[
    (
        "ureq::",
        &[
            "transport/",
            "failure/user_error/",
            "failure/http_error.rs",
            "failure/exception/type_name.rs",
            "bridge/",
        ],
    ),
    ("ureq::Agent", &["transport/"]),
    ("ureq::unversioned", &["transport/connection/unversioned.rs"]),
    ("parking_lot", &["collector/"]),
    ("prost::", &["wire/otlp/protobuf/"]),
    ("std::env::var", &["model/config/"]),
    ("unsafe ", &["process/fork/"]),
    ("std::fs", &["spool/disk/", "transport/", "model/config/"]),
    ("rustix::", &["spool/disk/"]),
];

/// A Rust file of `src` without test code.
struct Source {
    /// The path below `src`.
    path: String,
    /// The lines of code, without comments and empty lines.
    code: String,
}

impl Source {
    /// The first folder of the path, or the name of a file directly in `src`.
    fn floor(&self) -> &str {
        self.path.split(['/', '.']).next().unwrap()
    }
}

fn sources() -> Vec<Source> {
    let mut files = Vec::new();
    collect(Path::new("src"), &mut files);
    let is_code = |line: &&str| !line.trim_start().starts_with("//") && !line.trim().is_empty();
    files
        .into_iter()
        .map(|file| {
            let path = file.strip_prefix("src").unwrap().to_str().unwrap().replace('\\', "/");
            let text = fs::read_to_string(&file).unwrap();
            let code: Vec<_> = text.lines().filter(is_code).collect();
            Source { path, code: code.join("\n") }
        })
        .filter(|source| !source.path.ends_with("tests.rs") && !source.path.contains("/tests/"))
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

/// The floors that a file imports: with `crate::queue::Producer` or with `crate::{payload, process}`. A `$crate::` path
/// in a macro does not count: the code that uses the macro imports it. A public item of `lib.rs` belongs to no floor.
fn imports(code: &str) -> BTreeSet<String> {
    let mut floors = BTreeSet::new();
    for rest in code.replace("$crate::", "").split("crate::").skip(1) {
        let names = match rest.strip_prefix('{') {
            Some(list) => list.split('}').next().unwrap(),
            None => rest,
        };
        for name in names.split(',') {
            let name: String =
                name.trim().chars().take_while(|letter| letter.is_alphanumeric() || *letter == '_').collect();
            floors.insert(name);
            if !rest.starts_with('{') {
                break;
            }
        }
    }
    floors
}

#[test]
fn a_floor_imports_only_floors_below_it() {
    let height = |floor: &str| FLOORS.iter().position(|name| *name == floor);
    for source in sources().iter().filter(|source| source.path != "lib.rs") {
        let own = height(source.floor()).unwrap_or_else(|| panic!("{} is on no floor", source.path));
        for import in imports(&source.code) {
            let other = height(&import);
            assert!(other.is_some_and(|other| own <= other), "{} imports {import}", source.path);
        }
    }
}

#[test]
fn every_floor_exists_and_is_in_the_list() {
    let existing: BTreeSet<_> = sources().iter().map(|source| source.floor().to_owned()).collect();
    let listed = FLOORS.iter().copied().chain(["lib"]).map(str::to_owned).collect();
    assert_eq!(existing, listed);
}

#[test]
fn a_restricted_name_appears_only_in_its_places() {
    for source in sources() {
        for (name, places) in NAMED_IN {
            assert!(
                places.iter().any(|place| source.path.starts_with(place)) || !source.code.contains(name),
                "{} names {name}",
                source.path
            );
        }
    }
}

#[test]
fn of_handle_owner_and_worker_only_the_owner_implements_drop() {
    let code: String = sources().into_iter().map(|source| source.code).collect();
    let drops = |name: &str| code.matches(&format!("Drop for {name}")).count();
    assert_eq!(["Reporter", "Owner", "Worker"].map(drops), [0, 1, 0]);
}

#[test]
fn no_file_is_longer_than_400_lines_of_code() {
    for source in sources() {
        let lines = source.code.lines().count();
        assert!(lines <= 400, "{} has {lines} lines of code", source.path);
    }
}

#[test]
fn no_test_file_is_longer_than_500_lines() {
    let mut files = Vec::new();
    for folder in ["tests", "benches", "viewer/tests"].map(Path::new).into_iter().filter(|path| path.exists())
    {
        collect(folder, &mut files);
    }
    assert!(!files.is_empty());
    for path in files {
        let lines = fs::read_to_string(&path).unwrap().lines().count();
        assert!(lines <= 500, "{} has {lines} lines", path.display());
    }
}

#[test]
fn no_folder_has_more_than_8_entries_and_each_begins_with_its_purpose() {
    let mut folders = BTreeMap::<PathBuf, usize>::new();
    let mut files = Vec::new();
    collect(Path::new("src"), &mut files);
    for file in &files {
        for (entry, folder) in file.ancestors().zip(file.ancestors().skip(1)) {
            if folder != Path::new("src") && folder.starts_with("src") && (entry == file || entry.is_dir()) {
                folders.entry(folder.to_owned()).or_default();
            }
        }
    }
    for (folder, entries) in &mut folders {
        *entries = fs::read_dir(folder).unwrap().count();
        assert!(*entries <= 8, "{} has {entries} entries", folder.display());
        let first = fs::read_to_string(folder.join("mod.rs")).unwrap();
        assert!(first.starts_with("//! "), "{} does not begin with its purpose", folder.display());
    }
    assert!(folders.len() > FLOORS.len() / 2);
}

#[test]
fn lib_holds_no_logic() {
    let lib = sources().into_iter().find(|source| source.path == "lib.rs").unwrap();
    assert!(!lib.code.contains("fn "), "lib.rs only lists the floors");
}

/// The test files that may sleep or have an ignored test, each with the reason.
const MAY_SLEEP_OR_BE_IGNORED: &[(&str, &str)] = &[
    ("tests/house.rs", "has the names that it searches for"),
    ("tests/it/delivery/real_nginx.rs", "tests pauses between requests"),
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
fn every_test_file_begins_with_keeps() {
    let mut files = Vec::new();
    collect(Path::new("tests"), &mut files);
    for path in files {
        let text = fs::read_to_string(&path).unwrap();
        if text.contains("#[test]") || path.ends_with("main.rs") {
            assert!(text.starts_with("//! Keeps "), "{} does not begin with `//! Keeps `", path.display());
        }
    }
}
