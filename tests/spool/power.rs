//! Keeps events through a power cut: an ext4 image on a loop device, copied while it is mounted, is what the disk had.

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::path::Path;
use std::process::Command;

use tinker_telemetry::Durability;

use crate::Scene;
use crate::files_below;
use crate::killed::{acknowledged, reporter_of_child, start, write_until_full};

/// Runs a command as root would; `None` where that cannot be.
pub fn run(command: &[&str]) -> Option<()> {
    let output = Command::new(command[0]).args(&command[1..]).output().ok()?;
    output.status.success().then_some(())
}

/// A file system in a file, mounted.
pub struct Mounted<'a>(&'a Path);

impl<'a> Mounted<'a> {
    /// Makes an ext4 file system and mounts it. `None` where that cannot be.
    pub fn make(image: &Path, at: &'a Path) -> Option<Self> {
        fs::File::create(image).ok()?.set_len(16 * 1024 * 1024).ok()?;
        run(&["mkfs.ext4", "-q", "-F", image.to_str()?])?;
        Self::mount(image, at)
    }

    fn mount(image: &Path, at: &'a Path) -> Option<Self> {
        fs::create_dir_all(at).ok()?;
        run(&["mount", "-o", "loop", image.to_str()?, at.to_str()?])?;
        Some(Self(at))
    }
}

impl Drop for Mounted<'_> {
    fn drop(&mut self) {
        let _ = run(&["umount", "-l", self.0.to_str().unwrap()]);
    }
}

/// How many times the power is cut: some in CI, two hundred by the command in CONTRIBUTING.md.
fn cuts() -> usize {
    env::var("SPOOL_POWER_CUTS").map_or(2, |cuts| cuts.parse().unwrap())
}

#[test]
fn a_power_cut_loses_nothing_that_was_kept() {
    if let Some(reporter) = reporter_of_child(Durability::Power) {
        write_until_full(&reporter);
    }
    for cut in 0..cuts() {
        let mut scene = Scene::new();
        let outer = scene.outer.path().to_owned();
        let (image, copy) = (outer.join("image"), outer.join("copy"));
        let disk = outer.join("disk");
        let Some(mounted) = Mounted::make(&image, &disk) else {
            return eprintln!("skipped: no ext4 image can be mounted here");
        };
        scene.below = "disk/telemetry".into();
        let (mut child, mut output) = start("power::a_power_cut_loses_nothing_that_was_kept", &scene);
        let expected: BTreeSet<_> = acknowledged(&mut output, 3 + cut % 7).into_iter().collect();
        assert!(!expected.is_empty());
        // The power goes: what the disk has is what this copy has.
        fs::copy(&image, &copy).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        drop(mounted);
        let after = outer.join("after");
        let _mounted = Mounted::mount(&copy, &after).expect("it could be mounted before");
        let text: String = files_below(&after.join("telemetry"))
            .iter()
            .map(|file| String::from_utf8_lossy(&fs::read(file).unwrap()).into_owned())
            .collect();
        let lost: Vec<_> =
            expected.iter().filter(|name| !text.contains(&format!(r#""event_name":"{name}""#))).collect();
        assert!(lost.is_empty(), "{lost:?}");
    }
}
