//! A test in a process of its own, in which functions of the C library are replaced.

use std::path::PathBuf;
use std::process::Command;
use std::{env, fs};

/// Set in that process.
const REPLACED: &str = "TINKER_TEST_REPLACED";

/// Whether this is the process in which functions are replaced.
pub fn is_replaced() -> bool {
    env::var_os(REPLACED).is_some()
}

/// Runs the test called `name` (the path that `--exact` takes) in a process with the functions of `source`, which is C, and
/// with these variables.
pub fn run(name: &str, source: &str, variables: &[(&str, &str)]) {
    let output = Command::new(env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env(REPLACED, "yes")
        .env("LD_PRELOAD", library(name, source))
        .envs(variables.iter().copied())
        .output()
        .unwrap();
    let text =
        [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    // A name that no test has would pass with nothing run.
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

/// A C compiler is there: Rust needs its linker.
fn library(name: &str, source: &str) -> PathBuf {
    let home = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name.replace("::", "-"));
    fs::create_dir_all(&home).unwrap();
    let (file, library) = (home.join("replaced.c"), home.join("libreplaced.so"));
    fs::write(&file, source).unwrap();
    let arguments = ["-shared", "-fPIC", "-o"];
    let built = Command::new("cc").args(arguments).args([&library, &file]).arg("-ldl").output().unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    library
}
