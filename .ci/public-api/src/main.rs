//! Prints the public surface of a crate, one item a line, from the file that rustdoc wrote about it as JSON.

use std::env;
use std::error::Error;

/// Traits that no stable program can name. Which types have them changes with the compiler.
const UNSTABLE: &[&str] =
    &["core::marker::Freeze", "core::marker::StructuralPartialEq", "core::marker::UnsafeUnpin"];

fn main() -> Result<(), Box<dyn Error>> {
    let json = env::args().nth(1).ok_or("usage: tinker-telemetry-public-api FILE.json")?;
    let surface = public_api::Builder::from_rustdoc_json(json).omit_blanket_impls(true).build()?;
    for item in surface.items() {
        let line = item.to_string();
        if !UNSTABLE.iter().any(|name| line.contains(&format!("{name} for "))) {
            println!("{line}");
        }
    }
    Ok(())
}
