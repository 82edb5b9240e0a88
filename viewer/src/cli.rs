//! The command line.

#![expect(clippy::doc_markdown, reason = "these comments are the help, which a terminal shows as it is")]

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};

/// Where the viewer listens if nothing else is asked for.
pub const PORT: u16 = 8970;

/// See the telemetry of Tinker programs while you develop.
#[derive(Debug, Parser)]
#[command(name = "tinker-telemetry", version, propagate_version = true, after_help = EXAMPLES)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

const EXAMPLES: &str = "\
Examples:
  tinker-telemetry run -- python train.py           run a program and see what it reports
  tinker-telemetry view                             the viewer alone, at http://127.0.0.1:8970
  tinker-telemetry view monday.jsonl tuesday.jsonl  look at earlier runs, one over the other
  tinker-telemetry tail --min warning               follow in the terminal
  tinker-telemetry tail --json --name train. | jq .event.event_data.loss";

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a program with its telemetry sent to the viewer.
    ///
    /// Sets TINKER_BASE_URL for the program, and TINKER_API_KEY if there is none. Its output, its exit code and the
    /// signals for it are passed on unchanged. The page stays up until Ctrl-C.
    #[command(after_help = "\
Examples:
  tinker-telemetry run -- cargo run --example quickstart
  tinker-telemetry run --exit --keep run.jsonl -- python train.py
  tinker-telemetry run --forward https://tinker.thinkingmachines.dev/services/tinker-prod -- python train.py")]
    Run(Run),
    /// Show the page; programs report to it through TINKER_BASE_URL.
    #[command(after_help = "\
Examples:
  tinker-telemetry view
  tinker-telemetry view --port 0 --keep run.jsonl
  tinker-telemetry view monday.jsonl tuesday.jsonl")]
    View(View),
    /// Print events in the terminal as they arrive.
    ///
    /// Follows the viewer on this port. If there is none, it is one itself.
    #[command(after_help = "\
Examples:
  tinker-telemetry tail --min error
  tinker-telemetry tail --name checkpoint.
  tinker-telemetry tail --json | jq .event.event_data")]
    Tail(Tail),
    /// List, send or remove what programs keep for their next run.
    #[cfg(feature = "spool")]
    #[command(
        subcommand,
        after_help = "\
Examples:
  tinker-telemetry spool ls
  tinker-telemetry spool send my-tool
  tinker-telemetry spool purge --at /var/lib/my-tool/telemetry --yes"
    )]
    Spool(Spool),
    /// Print completions for a shell.
    #[command(
        after_help = "Example:\n  tinker-telemetry completions bash > ~/.local/share/bash-completion/completions/tinker-telemetry"
    )]
    Completions { shell: clap_complete::Shell },
    /// Print the man page.
    #[command(after_help = "Example:\n  tinker-telemetry man | man -l -")]
    Man,
}

#[derive(Args, Debug)]
pub struct Run {
    #[command(flatten)]
    pub serving: Serving,
    /// End when the program ends, in place of keeping the page up
    #[arg(long)]
    pub exit: bool,
    /// The program and its arguments
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true, value_name = "CMD")]
    pub program: Vec<std::ffi::OsString>,
}

#[derive(Args, Debug)]
pub struct View {
    #[command(flatten)]
    pub serving: Serving,
    /// JSONL files to show: kept or exported earlier
    pub files: Vec<PathBuf>,
}

#[derive(Args, Debug)]
pub struct Serving {
    /// The port to listen on; 0 is any free port [default: 8970]
    #[arg(long)]
    pub port: Option<u16>,
    /// The address to listen on. Others can see the page and send events if it is not loopback
    #[arg(long, default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST), value_name = "ADDRESS")]
    pub listen: IpAddr,
    /// A further name by which this machine may be addressed, such as host.docker.internal
    #[arg(long, value_name = "NAME")]
    pub allow_host: Vec<String>,
    /// Append each event to this file as a line of JSON
    #[arg(long, value_name = "FILE")]
    pub keep: Option<PathBuf>,
    /// Pass every request on to this backend, and its answer back
    #[arg(long, value_name = "URL")]
    pub forward: Option<String>,
}

#[derive(Args, Debug)]
pub struct Tail {
    /// The port of the viewer to follow
    #[arg(long, default_value_t = PORT)]
    pub port: u16,
    /// Print each event as a line of JSON
    #[arg(long)]
    pub json: bool,
    /// Only events whose names begin with this
    #[arg(long, value_name = "PREFIX")]
    pub name: Option<String>,
    /// Only events at least this severe
    #[arg(long, value_name = "SEVERITY")]
    pub min: Option<Severity>,
}

#[cfg(feature = "spool")]
#[derive(Debug, Subcommand)]
pub enum Spool {
    /// List files: events, age, session, endpoint, and the process that holds each.
    ///
    /// Without a name: of all programs of this user that keep theirs in the usual folder.
    Ls(Place),
    /// Send what is kept to the backend that the environment names, as the program's next run would.
    Send(Send),
    /// Remove what is kept and no running program holds.
    Purge(Purge),
}

#[cfg(feature = "spool")]
#[derive(Args, Debug)]
pub struct Place {
    /// The program's name, as it gives it to its spool
    pub program: Option<String>,
    /// The folder, where the program has chosen one
    #[arg(long, value_name = "FOLDER", conflicts_with = "program")]
    pub at: Option<PathBuf>,
}

#[cfg(feature = "spool")]
#[derive(Args, Debug)]
pub struct Send {
    #[command(flatten)]
    pub place: Place,
    /// The most seconds to wait
    #[arg(long, default_value_t = 60, value_name = "SECONDS")]
    pub timeout: u64,
}

#[cfg(feature = "spool")]
#[derive(Args, Debug)]
pub struct Purge {
    #[command(flatten)]
    pub place: Place,
    /// Remove without a question
    #[arg(long)]
    pub yes: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Severity {
    Debug,
    Info,
    Warning,
    Error,
    Critical,
}

impl Severity {
    /// The severity as it is written on the wire. What is none of them counts as `INFO`.
    pub fn from_wire(word: &str) -> Self {
        <Self as ValueEnum>::from_str(word, true).unwrap_or(Self::Info)
    }
}

pub fn parse() -> Cli {
    Cli::parse()
}

pub fn definition() -> clap::Command {
    Cli::command()
}
