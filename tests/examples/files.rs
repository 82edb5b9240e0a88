//! Keeps the examples correct with files that are no files, that cannot be read, or that have strange names.

use std::fs;

use super::{example, make_fifo, run};

#[test]
fn pipes_and_sockets_below_the_folder_are_skipped_and_the_files_are_hashed() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("file"), "text").unwrap();
    make_fifo(&folder.path().join("pipe"));
    let _socket = std::os::unix::net::UnixListener::bind(folder.path().join("socket")).unwrap();
    std::os::unix::fs::symlink("pipe", folder.path().join("link")).unwrap();
    std::os::unix::fs::symlink("/dev/zero", folder.path().join("zero")).unwrap();
    let ended = run(example(&["quickstart", folder.path().to_str().unwrap()]));
    assert_eq!(ended.status.code(), Some(0), "{}", ended.out);
    assert_eq!(ended.out.matches("skipped, not a regular file\n").count(), 4, "{}", ended.out);
    assert_eq!(ended.out.matches("file.hashed").count(), 1, "{}", ended.out);
}

#[test]
fn an_unreadable_file_is_printed_and_reported_and_sets_the_exit_code() {
    let folder = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink("nowhere", folder.path().join("dangling")).unwrap();
    let path = folder.path().to_str().unwrap();
    let cases = [
        ("not-there", "not-there: No such file", "user_error"),
        ("Cargo.toml", "Cargo.toml: Not a directory", "user_error"),
        (path, "dangling: No such file", "UNHANDLED_EXCEPTION"),
    ];
    for (argument, printed, reported) in cases {
        let ended = run(example(&["quickstart", argument]));
        assert_eq!(ended.status.code(), Some(1), "{argument}: {}", ended.out);
        assert!(ended.out.contains(printed) && ended.out.contains(reported), "{argument}: {}", ended.out);
    }
    let ended = run(example(&["cli_tool", "not-there"]));
    assert_eq!(ended.status.code(), Some(1));
    assert!(ended.err.contains("cannot check not-there: No such file"), "{}", ended.err);
    assert!(ended.out.contains("user_error"), "{}", ended.out);
    for name in ["quickstart", "cli_tool", "service"] {
        assert_eq!(run(example(&[name, "--nonsense"])).status.code(), Some(2), "{name}");
    }
}

#[test]
fn names_with_control_characters_are_printed_escaped() {
    let folder = tempfile::tempdir().unwrap();
    let (good, dangling) =
        (folder.path().join("good\u{1b}[31m\u{9b}2J\nforged"), folder.path().join("bad\u{9b}2J\nx"));
    fs::write(&good, "{}\n").unwrap();
    std::os::unix::fs::symlink("nowhere", &dangling).unwrap();
    let missing = folder.path().join("missing\u{1b}[2J\nx");
    for (name, path) in
        [("quickstart", folder.path()), ("quickstart", &missing), ("cli_tool", &good), ("cli_tool", &missing)]
    {
        let ended = run(example(&[name, path.to_str().unwrap()]));
        assert_eq!(ended.status.code(), Some(1), "{name}");
        let output = ended.out + &ended.err;
        assert!(output.contains("\\n"), "{name}: {output}");
        assert!(!output.contains(|letter: char| letter != '\n' && letter.is_control()), "{name}: {output:?}");
        assert!(!output.contains("\nforged") && !output.contains("\nx"), "{name}: {output}");
    }
}
