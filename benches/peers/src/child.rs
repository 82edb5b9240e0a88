//! The measuring process and its hard limit: a client that hangs costs the bench no more than the limit.

use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use std::{env, io, thread};

use anyhow::{Context, Result, bail};

use crate::figures::Figures;
use crate::task::Task;

/// How a child ended.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Outcome {
    /// It ended by itself, with these figures. `ended` is the moment of its end, in seconds since 1970.
    Done { figures: Figures, ended: f64 },
    /// It did not end within its limit and was killed. `figures` has those that it had printed by then.
    Killed { figures: Figures },
}

impl Outcome {
    /// The figures, where a hang is an error.
    pub(crate) fn figures(self) -> Result<Figures> {
        match self {
            Self::Done { figures, .. } => Ok(figures),
            Self::Killed { .. } => bail!("it hung, and was killed"),
        }
    }
}

/// Runs `task` in a process of its own, for at most `limit`.
pub(crate) fn run(task: Task, limit: Duration) -> Result<Outcome> {
    let mut command = Command::new(env::current_exe()?);
    command.arg("run").args(task.to_args());
    outcome(command, limit).with_context(|| format!("{:?} by {}", task.work, task.contender.id()))
}

/// Runs a command that prints figures, for at most `limit`, without a proxy from the environment.
pub(crate) fn outcome(mut command: Command, limit: Duration) -> Result<Outcome> {
    for proxy in ["http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
        command.env_remove(proxy);
    }
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
    let stdout = child.stdout.take().context("no standard output")?;
    // The standard output ends with the process. A wait for that end takes no processor time from the measurement.
    let (sender, figures) = mpsc::channel();
    thread::spawn(move || sender.send(io::read_to_string(stdout)));
    let in_time = figures.recv_timeout(limit).ok();
    if in_time.is_none() {
        child.kill()?;
    }
    let status = child.wait()?;
    let ended = now();
    match in_time {
        Some(text) if status.success() => Ok(Outcome::Done { figures: Figures::parse(&text?)?, ended }),
        Some(_) => bail!("it failed: {status}"),
        None => Ok(Outcome::Killed { figures: Figures::parse(&figures.recv()??)? }),
    }
}

/// Seconds since 1970, by the clock that a parent and its child share.
pub(crate) fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}
