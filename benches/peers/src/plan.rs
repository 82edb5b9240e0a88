//! The command line.

use anyhow::{Context, Result, bail};

use crate::peer::Contender;

pub(crate) const USAGE: &str = "\
peers [call] [sustained] [drain] [footprint] [--rounds N] [--quick] [--only ID,ID...]

Without a part: all of them, in this order. Tables go to standard output.
  --rounds N   interleaved rounds, by default 5
  --quick      2 rounds with a third of the work, to check that everything runs
  --only IDS   only these contenders (call, sustained, drain) or packages (footprint)
";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Call,
    Sustained,
    Drain,
    Footprint,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) parts: Vec<Part>,
    pub(crate) rounds: usize,
    /// A third of the work.
    pub(crate) quick: bool,
    /// The selected ids. Empty selects all.
    only: Vec<String>,
}

impl Plan {
    pub(crate) fn parse(args: &[String]) -> Result<Self> {
        let mut plan = Self { parts: Vec::new(), rounds: 5, quick: false, only: Vec::new() };
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            match arg.as_str() {
                "call" => plan.parts.push(Part::Call),
                "sustained" => plan.parts.push(Part::Sustained),
                "drain" => plan.parts.push(Part::Drain),
                "footprint" => plan.parts.push(Part::Footprint),
                "--quick" => (plan.quick, plan.rounds) = (true, 2),
                "--rounds" => plan.rounds = args.next().context("--rounds takes a number")?.parse()?,
                "--only" => {
                    let ids = args.next().context("--only takes ids")?;
                    plan.only = ids.split(',').map(str::to_owned).collect();
                }
                other => bail!("unknown argument {other:?}\n\n{USAGE}"),
            }
        }
        if plan.rounds == 0 {
            bail!("--rounds must be at least 1");
        }
        if plan.parts.is_empty() {
            plan.parts = vec![Part::Call, Part::Sustained, Part::Drain, Part::Footprint];
        }
        Ok(plan)
    }

    /// Whether the contender or package with this id is selected.
    pub(crate) fn includes(&self, id: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|it| it == id)
    }

    /// The selected ones of `contenders`.
    pub(crate) fn of(&self, contenders: &[Contender]) -> Vec<Contender> {
        contenders.iter().copied().filter(|it| self.includes(it.id())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Plan> {
        Plan::parse(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn without_arguments_everything_is_measured() {
        let plan = parse("").unwrap();
        assert_eq!((plan.parts.len(), plan.rounds), (4, 5));
        assert_eq!(plan.of(&Contender::ALL), Contender::ALL);
    }

    #[test]
    fn only_selected_parts_and_contenders_are_measured() {
        let plan = parse("drain --only otel-proto,ours-struct --rounds 3").unwrap();
        assert_eq!((plan.parts.as_slice(), plan.rounds), (&[Part::Drain][..], 3));
        assert_eq!(plan.of(&Contender::ALL), [Contender::OtelProto, Contender::OursStruct]);
    }

    #[test]
    fn an_invalid_argument_is_refused() {
        for line in ["dance", "--rounds", "--rounds 0", "--rounds many"] {
            assert!(parse(line).is_err(), "{line}");
        }
    }
}
