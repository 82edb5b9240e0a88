//! The smallest program that uses a library, as a cargo package of its own. Only a separate build shows its footprint.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::usage;

/// A library with the usual features of a program.
pub(crate) struct Package {
    pub(crate) id: &'static str,
    pub(crate) label: &'static str,
    program: &'static str,
    dependencies: &'static [&'static str],
}

const OTEL: [&str; 2] = [
    r#"opentelemetry = { version = "0.33", default-features = false, features = ["logs"] }"#,
    r#"opentelemetry_sdk = { version = "0.33", default-features = false, features = ["logs"] }"#,
];

impl Package {
    /// The program that does nothing. Sizes are compared with it.
    pub(crate) const EMPTY: Self = Self {
        id: "empty",
        label: "empty program",
        program: include_str!("../templates/empty.rs"),
        dependencies: &[],
    };

    pub(crate) const ALL: [Self; 9] = [
        Self {
            id: "bare",
            label: "a program that reads its own memory",
            program: include_str!("../templates/bare.rs"),
            dependencies: &[],
        },
        Self {
            id: "otel",
            label: "OpenTelemetry, protobuf",
            program: include_str!("../templates/otel.rs"),
            dependencies: &[
                OTEL[0],
                OTEL[1],
                r#"opentelemetry-otlp = { version = "0.33", default-features = false, features = ["logs", "http-proto", "reqwest-blocking-client"] }"#,
            ],
        },
        Self {
            id: "otel-tls",
            label: "OpenTelemetry, protobuf, with TLS",
            program: include_str!("../templates/otel.rs"),
            dependencies: &[
                OTEL[0],
                OTEL[1],
                r#"opentelemetry-otlp = { version = "0.33", default-features = false, features = ["logs", "http-proto", "reqwest-blocking-client", "reqwest-rustls"] }"#,
            ],
        },
        Self {
            id: "sentry",
            label: "Sentry logs",
            program: include_str!("../templates/sentry.rs"),
            dependencies: &[
                r#"sentry = { version = "0.49", default-features = false, features = ["logs", "ureq"] }"#,
            ],
        },
        Self {
            id: "sentry-tls",
            label: "Sentry logs, with TLS",
            program: include_str!("../templates/sentry.rs"),
            dependencies: &[
                r#"sentry = { version = "0.49", default-features = false, features = ["logs", "ureq", "rustls"] }"#,
            ],
        },
        Self {
            id: "posthog",
            label: "PostHog (always with TLS)",
            program: include_str!("../templates/posthog.rs"),
            dependencies: &[r#"posthog-rs = { version = "0.30", default-features = false }"#],
        },
        Self {
            id: "appender",
            label: "tracing-appender, JSON (no network)",
            program: include_str!("../templates/appender.rs"),
            dependencies: &[
                r#"tracing = "0.1""#,
                r#"tracing-appender = "0.2""#,
                r#"tracing-subscriber = { version = "0.3", features = ["json"] }"#,
            ],
        },
        Self {
            id: "ours",
            label: "**tinker-telemetry**",
            program: include_str!("../templates/ours.rs"),
            dependencies: &[
                r#"tinker-telemetry = { path = "OURS", default-features = false }"#,
                r#"serde = { version = "1", features = ["derive"] }"#,
            ],
        },
        Self {
            id: "ours-tls",
            label: "**tinker-telemetry**, with TLS",
            program: include_str!("../templates/ours.rs"),
            dependencies: &[
                r#"tinker-telemetry = { path = "OURS" }"#,
                r#"serde = { version = "1", features = ["derive"] }"#,
            ],
        },
    ];

    /// Writes the package below `parent`, with the lock file of the bench, so that the versions are the same.
    pub(crate) fn write(&self, parent: &Path) -> Result<Written> {
        let root = parent.join(self.id);
        fs::create_dir_all(root.join("src"))?;
        let ours = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
        let dependencies = self.dependencies.join("\n").replace("OURS", ours);
        let manifest = format!(
            "[package]\nname = \"footprint-{}\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[workspace]\n\n\
             [dependencies]\n{dependencies}\n\n\
             [profile.lean]\ninherits = \"release\"\nlto = \"fat\"\ncodegen-units = 1\nstrip = \"symbols\"\n",
            self.id
        );
        fs::write(root.join("Cargo.toml"), manifest)?;
        fs::write(root.join("Cargo.lock"), include_str!("../Cargo.lock"))?;
        fs::write(root.join("src/main.rs"), self.program)?;
        fs::write(root.join("src/rss.rs"), include_str!("../templates/rss.rs"))?;
        let written = Written { root, name: format!("footprint-{}", self.id) };
        written.cargo(&["fetch"])?;
        Ok(written)
    }
}

/// A package on disk after its downloads.
pub(crate) struct Written {
    root: PathBuf,
    name: String,
}

impl Written {
    /// The time of the first build in release mode: seconds on the clock, and seconds of all processors.
    pub(crate) fn cold_build(&self) -> Result<(f64, f64)> {
        let (began, cpu) = (Instant::now(), usage::children()?);
        self.cargo(&["build", "--release"])?;
        Ok((began.elapsed().as_secs_f64(), usage::children()? - cpu))
    }

    pub(crate) fn binary(&self) -> PathBuf {
        self.root.join("target/release").join(&self.name)
    }

    /// Bytes of the binary as `cargo build --release` leaves it.
    pub(crate) fn size(&self) -> Result<f64> {
        Ok(fs::metadata(self.binary())?.len() as f64)
    }

    /// Bytes of the binary without its symbols. This replaces the binary with symbols.
    pub(crate) fn stripped_size(&self) -> Result<f64> {
        self.cargo(&["rustc", "--release", "--", "-C", "strip=symbols"])?;
        self.size()
    }

    /// The build of a small program: link-time optimization, one unit of code generation, no symbols.
    pub(crate) fn lean_build(&self) -> Result<PathBuf> {
        self.cargo(&["build", "--profile", "lean"])?;
        Ok(self.root.join("target/lean").join(&self.name))
    }

    /// The number of crates in the tree without the program itself, by `cargo tree -e` with these edges.
    pub(crate) fn crates(&self, edges: &str) -> Result<usize> {
        let tree = self.cargo(&["tree", "-e", edges, "--prefix", "none"])?;
        let name_and_version = |line: &str| line.split(' ').take(2).collect::<Vec<_>>().join(" ");
        let crates: BTreeSet<String> = tree.lines().map(name_and_version).collect();
        Ok(crates.len().saturating_sub(1))
    }

    pub(crate) fn remove(self) -> Result<()> {
        Ok(fs::remove_dir_all(&self.root)?)
    }

    /// Runs cargo here, with the package's own target directory in any environment.
    fn cargo(&self, args: &[&str]) -> Result<String> {
        let output = Command::new("cargo")
            .args(args)
            .current_dir(&self.root)
            .env("CARGO_TARGET_DIR", self.root.join("target"))
            .stdin(Stdio::null())
            .output()
            .context("cargo does not run")?;
        if !output.status.success() {
            bail!("cargo {args:?} for {}: {}", self.name, String::from_utf8_lossy(&output.stderr));
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}
