//! The frames of a stack as text, without those on top that say nothing about the program.

use std::fmt::{self, Display};

/// The crates whose frames on top of a stack show only how the stack was captured or the error was made.
const PLUMBING: &[&str] = &["std", "core", "alloc", "anyhow", "eyre", "backtrace", env!("CARGO_CRATE_NAME")];

/// The names of functions without a crate, that begin or catch a panic, begin so.
const PLUMBING_FUNCTIONS: &[&str] = &["__rust", "rust_begin_unwind", "rust_panic"];

/// The text of a stack, as the standard library writes it, from the first frame of the program on. The frames are counted
/// from there. A text without such a frame stays as it is.
pub(crate) struct Frames<'a>(pub(crate) &'a str);

impl Display for Frames<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut skipped = None;
        let mut lines = self.0.lines();
        let skipped = loop {
            let rest = lines.clone();
            let Some(line) = lines.next() else { return f.write_str(self.0) };
            skipped = numbered(line).map(|(number, _)| number).or(skipped);
            let file = lines.clone().next().and_then(file);
            let is_first = symbol(line).is_some_and(|symbol| !is_plumbing(symbol, file));
            if let (Some(skipped), true) = (skipped, is_first) {
                lines = rest;
                break skipped;
            }
        };
        // A function that was inlined has no number of its own.
        if let Some(first) = lines.next() {
            writeln!(f, "{:>4}: {}", 0, first.get(MARGIN..).unwrap_or(first))?;
        }
        for line in lines {
            match numbered(line) {
                Some((number, rest)) => writeln!(f, "{:>4}: {rest}", number.saturating_sub(skipped))?,
                None => writeln!(f, "{line}")?,
            }
        }
        Ok(())
    }
}

/// The width of a frame's number, the colon and the space.
const MARGIN: usize = 6;

/// The number of a frame, and what follows it.
fn numbered(line: &str) -> Option<(usize, &str)> {
    let (number, rest) = line.split_once(": ")?;
    Some((number.trim_start().parse().ok()?, rest))
}

/// The name of the function on a line. `None` for a line that says where the function is.
fn symbol(line: &str) -> Option<&str> {
    let rest = numbered(line).map_or_else(|| line.trim_start(), |(_, rest)| rest);
    // With all details, the address stands before the name.
    let name = match rest.split_once(" - ") {
        Some((address, name)) if address.trim_start().starts_with("0x") => name,
        _ => rest,
    };
    (!name.starts_with("at ")).then(|| name.trim_start())
}

/// The file on a line that says where a function is.
fn file(line: &str) -> Option<&str> {
    let place = line.trim_start().strip_prefix("at ")?;
    Some(place.strip_prefix("./").unwrap_or(place))
}

/// Whether the function is of a crate in [`PLUMBING`]. A function of a trait belongs to its type and to the trait: only if
/// both are of such crates it is one of theirs. Where a program has line tables and no other debug information, the names
/// have no crate, and the file decides.
fn is_plumbing(symbol: &str, file: Option<&str>) -> bool {
    if PLUMBING_FUNCTIONS.iter().any(|name| symbol.starts_with(name)) {
        return true;
    }
    let (own, of_trait) = parts(symbol);
    let mut crates = [Some(own), of_trait].into_iter().flatten().filter_map(crate_of).peekable();
    if crates.peek().is_none() {
        return file.is_some_and(is_file_of_plumbing);
    }
    crates.all(|name| PLUMBING.contains(&name))
}

fn is_file_of_plumbing(path: &str) -> bool {
    let own_root = file!().strip_suffix("process/stack/frames/mod.rs");
    let is_of_release = |part: &str| {
        let name_and_version = part.rsplit_once('-');
        name_and_version.is_some_and(|(name, version)| {
            PLUMBING.contains(&name) && version.starts_with(|digit: char| digit.is_ascii_digit())
        })
    };
    path.starts_with("/rustc/")
        || path.contains("/lib/rustlib/src/rust/")
        || own_root.is_some_and(|root| path.starts_with(root))
        || path.split(['/', '\\']).any(is_of_release)
}

/// `T` and `Trait` of `<T as Trait>::function`, else the whole.
fn parts(symbol: &str) -> (&str, Option<&str>) {
    let Some(inner) = symbol.strip_prefix('<') else { return (symbol, None) };
    let mut depth = 0_usize;
    let bytes = inner.as_bytes();
    for (at, byte) in bytes.iter().enumerate() {
        match byte {
            b'<' => depth += 1,
            b'>' if at > 0 && bytes[at - 1] == b'-' => {}
            b'>' if depth == 0 => return (&inner[..at], None),
            b'>' => depth -= 1,
            b' ' if depth == 0 && inner[at..].starts_with(" as ") => {
                return (&inner[..at], Some(&inner[at + " as ".len()..]));
            }
            _ => {}
        }
    }
    (inner, None)
}

/// The crate that a path begins with. `None` for a type parameter and for a type of the language.
fn crate_of(path: &str) -> Option<&str> {
    let mut path = path.trim_start_matches(['<', '&', '*', '(', '[']);
    for word in ["const ", "mut ", "dyn ", "impl "] {
        path = path.strip_prefix(word).unwrap_or(path);
    }
    let end = path.find(|letter: char| letter != '_' && !letter.is_alphanumeric())?;
    let (name, rest) = path.split_at(end);
    // With all details, a crate's hash stands behind its name.
    (rest.starts_with("::") || rest.starts_with('[')).then_some(name)
}

#[cfg(test)]
mod tests;
