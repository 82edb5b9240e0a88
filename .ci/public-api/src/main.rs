//! Prints the public surface of a crate, one item per line, from the JSON of rustdoc.

use std::env;
use std::error::Error;

/// Unstable traits, which no stable program can name. Their implementations change with the compiler.
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
