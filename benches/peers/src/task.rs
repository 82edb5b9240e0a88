//! One measurement of one contender. A child process does it, so that contenders share no memory and no threads, and a
//! crash affects one only.

use std::net::SocketAddr;

use anyhow::{Context, Result, bail};

use crate::peer::Contender;

/// The kind of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    /// Thousands of calls without a pause on this many threads, with a drain between the bursts.
    Burst { threads: usize },
    /// A call every 250 µs in total, on this many threads.
    Paced { threads: usize },
    /// As many events as possible.
    Sustained,
    /// The last call of a program with events pending.
    Drain,
}

/// The work, the contender that does it, and the sink of its events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Task {
    pub(crate) work: Work,
    pub(crate) contender: Contender,
    pub(crate) sink: SocketAddr,
    /// A third of the repetitions, to check that everything runs.
    pub(crate) quick: bool,
}

impl Task {
    /// The arguments of the child process.
    pub(crate) fn to_args(self) -> Vec<String> {
        let (work, threads) = match self.work {
            Work::Burst { threads } => ("burst", threads),
            Work::Paced { threads } => ("paced", threads),
            Work::Sustained => ("sustained", 1),
            Work::Drain => ("drain", 1),
        };
        let pace = if self.quick { "quick" } else { "full" };
        [work, &threads.to_string(), self.contender.id(), &self.sink.to_string(), pace]
            .map(str::to_owned)
            .into()
    }

    /// Reads the arguments of `to_args`.
    pub(crate) fn from_args(args: &[String]) -> Result<Self> {
        let [work, threads, contender, sink, pace] = args else { bail!("a task has five words: {args:?}") };
        let threads = threads.parse().context("how many threads")?;
        let work = match work.as_str() {
            "burst" => Work::Burst { threads },
            "paced" => Work::Paced { threads },
            "sustained" => Work::Sustained,
            "drain" => Work::Drain,
            other => bail!("no work {other:?}"),
        };
        Ok(Self {
            work,
            contender: Contender::parse(contender)?,
            sink: sink.parse().context("the sink's address")?,
            quick: pace == "quick",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn from_args_reads_the_task_of_to_args() {
        let sink = "127.0.0.1:4318".parse().unwrap();
        let works = [Work::Burst { threads: 4 }, Work::Paced { threads: 1 }, Work::Sustained, Work::Drain];
        for work in works {
            for contender in Contender::ALL {
                let task = Task { work, contender, sink, quick: true };
                assert_eq!(Task::from_args(&task.to_args()).unwrap(), task);
            }
        }
    }
}
