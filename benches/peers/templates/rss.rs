//! The figures of a footprint program, in the format of the bench: a name and a number on each line.

/// `VmRSS` of this process, in bytes.
pub fn print(name: &str) {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap_or_default();
    let kilobytes: u64 = line.split_whitespace().nth(1).and_then(|it| it.parse().ok()).expect("Linux");
    println!("{name} {}", kilobytes * 1024);
}

/// The sink's address, and whether the program fills the queue: `idle ADDRESS` or `full ADDRESS`.
#[allow(dead_code)] // the program without a client does not use it
pub fn task() -> (String, bool) {
    let mut args = std::env::args().skip(1);
    let full = args.next().as_deref() == Some("full");
    (args.next().unwrap_or_default(), full)
}
