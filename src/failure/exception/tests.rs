use std::cell::Cell;
use std::sync::Arc;
use std::{io, str};

use super::*;
use crate::failure::as_error::AsError;
use crate::failure::chain::MAX_DEPTH;
use crate::process::stack::SHORT_WAIT;

#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Layer(&'static str, #[source] Option<Box<dyn Error + Send + Sync>>);

fn layers(inner: impl Error + Send + Sync + 'static) -> Layer {
    Layer("outer failed", Some(Box::new(Layer("middle failed", Some(Box::new(inner))))))
}

#[derive(Debug, thiserror::Error)]
enum TrainingError {
    #[error("training diverged at step {step}")]
    Diverged { step: u32 },
    #[error("cannot read the samples: {0}")]
    Samples(#[from] io::Error),
}

fn described<E: AsError<Kind> + ?Sized, Kind>(error: &E) -> Exception {
    describe(ErrorView::of(error), 10_000, SHORT_WAIT)
}

/// The lines of the chain, without the stack.
fn causes(exception: &Exception) -> Vec<&str> {
    exception.traceback.causes.split("\n\n").next().unwrap().lines().collect()
}

fn not_found() -> io::Error {
    io::Error::from_raw_os_error(2)
}

const NOT_FOUND: &str = "No such file or directory (os error 2)";

#[test]
fn a_traceback_names_the_whole_chain() {
    let exception = described(&layers(fmt::Error));
    assert_eq!(exception.error_type, "tinker_telemetry::failure::exception::tests::Layer");
    assert_eq!(
        exception.message,
        "outer failed: middle failed: an error occurred when formatting an argument"
    );
    let lines = [
        "tinker_telemetry::failure::exception::tests::Layer: outer failed",
        "Caused by: Layer: middle failed",
        "Caused by: std::fmt::Error: an error occurred when formatting an argument",
    ];
    assert_eq!(causes(&exception), lines);
}

#[test]
#[cfg(unix)] // the texts of the system
fn contexts_are_in_the_message_and_the_type_is_that_of_the_cause() {
    let bare = described(&anyhow::Error::new(not_found()));
    assert_eq!((bare.error_type.as_str(), bare.message.as_str()), ("std::io::Error", NOT_FOUND));
    let once = described(&anyhow::Error::new(not_found()).context("loading a.toml"));
    assert_eq!(
        (once.error_type, once.message),
        ("std::io::Error".to_owned(), format!("loading a.toml: {NOT_FOUND}"))
    );
    let error =
        anyhow::Error::new(not_found()).context("loading a.toml").context("starting").context("job 7");
    let thrice = described(&error);
    assert_eq!(thrice.error_type, "std::io::Error");
    assert_eq!(thrice.message, format!("job 7: starting: loading a.toml: {NOT_FOUND}"));
    let last = format!("Caused by: std::io::Error: {NOT_FOUND}");
    assert_eq!(causes(&thrice), ["job 7", "Caused by: starting", "Caused by: loading a.toml", &last]);

    use eyre::WrapErr;
    let eyre = described(&Err::<(), _>(not_found()).wrap_err("loading a.toml").unwrap_err());
    assert_eq!(
        (eyre.error_type, eyre.message),
        ("std::io::Error".to_owned(), format!("loading a.toml: {NOT_FOUND}"))
    );
}

#[test]
fn a_chain_of_texts_alone_is_an_error() {
    let exception = described(&anyhow::anyhow!("text only").context("around it"));
    assert_eq!(
        (exception.error_type.as_str(), exception.message.as_str()),
        ("Error", "around it: text only")
    );
    let boxed: Box<dyn Error> = "text only".into();
    assert_eq!(described(&boxed).error_type, "Error");
}

#[test]
fn an_enum_has_its_path_where_the_compiler_knows_it_and_else_the_name_of_the_cause() {
    let samples = || TrainingError::Samples(io::Error::other("disk full"));
    let known = described(&samples());
    assert_eq!(known.error_type, "tinker_telemetry::failure::exception::tests::TrainingError");
    assert_eq!(known.message, "cannot read the samples: disk full");
    let shared: Arc<dyn Error + Send + Sync> = Arc::new(samples());
    for exception in [described(&anyhow::Error::new(samples())), described(&shared)] {
        assert_eq!(exception.error_type, "std::io::Error");
        assert_eq!(exception.message, "cannot read the samples: disk full");
        assert_eq!(causes(&exception)[0], "Samples: cannot read the samples: disk full");
    }
    let leaf = described(&anyhow::Error::new(TrainingError::Diverged { step: 3 }).context("job 7"));
    assert_eq!(leaf.error_type, "Diverged", "the variant: its Debug knows no more");
    assert_eq!(leaf.message, "job 7: training diverged at step 3");
}

#[test]
fn a_boxed_error_has_its_own_name() {
    let name = |name| {
        let error = layers(fmt::Error);
        let view = ErrorView { type_name: Some(name), ..ErrorView::of(&error) };
        describe(view, 10_000, SHORT_WAIT).error_type
    };
    assert_eq!(name("alloc::boxed::Box<my::Error<u8>>"), "my::Error<u8>");
    assert_eq!(name("alloc::sync::Arc<my::Error>"), "my::Error");
    assert_eq!(name("my::Box<u8>"), "my::Box<u8>");
    assert_eq!(described(&Box::new(not_found())).error_type, "std::io::Error");
    assert_eq!(described(&Arc::new(not_found())).error_type, "std::io::Error");
}

#[test]
fn types_of_the_standard_library_have_the_names_that_users_write() {
    let number = "x".parse::<u8>().unwrap_err();
    assert_eq!(described(&number).error_type, "std::num::ParseIntError");
    assert_eq!(
        described(&anyhow::Error::new(number).context("--steps")).error_type,
        "std::num::ParseIntError"
    );
    let bytes = vec![0xff];
    let text = str::from_utf8(&bytes).unwrap_err();
    assert_eq!(described(&text).error_type, "std::str::Utf8Error");
    let json = serde_json::from_str::<u8>("{").unwrap_err();
    assert_eq!(described(&anyhow::Error::new(json)).error_type, "serde_json::Error");
    let http = ureq::Error::HostNotFound;
    assert_eq!(described(&anyhow::Error::new(http)).error_type, "ureq::Error");
}

/// An error whose `Debug` writes this.
struct Printed(&'static str);

impl fmt::Debug for Printed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl Display for Printed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("printed")
    }
}

impl Error for Printed {}

#[test]
fn a_trait_object_has_the_name_of_a_derived_debug_only() {
    let name = |debug| {
        let object: Box<dyn Error> = Box::new(Printed(debug));
        described(&object).error_type
    };
    for (debug, expected) in [
        ("ParseError { line: 3 }", "ParseError"),
        ("ParseError(3)", "ParseError"),
        ("Refused", "Refused"),
        ("reqwest::Error { kind: Request }", "reqwest::Error"),
    ] {
        assert_eq!(name(debug), expected);
    }
    let no_names = [
        "",
        "\"text\"",
        "No such file",
        "disk full",
        "Failed: disk",
        "Os { code: 2, kind: NotFound }",
        "Custom { kind: Other }",
        "Kind(NotFound)",
        "Error(3)",
        "7",
        "::",
        "x",
    ];
    for debug in no_names {
        assert_eq!(name(debug), "Error", "{debug}");
    }
}

#[test]
fn a_large_debug_is_not_written_in_full() {
    struct Counting(Cell<usize>);
    impl fmt::Debug for Counting {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            (0..1_000_000).try_for_each(|_| {
                self.0.set(self.0.get() + 1);
                f.write_str("A")
            })
        }
    }
    impl Display for Counting {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("counts")
        }
    }
    impl Error for Counting {}
    let counting = Counting(Cell::new(0));
    let object: &(dyn Error + 'static) = &counting;
    assert_eq!(type_name::of_debug(object), None);
    assert!(counting.0.get() <= MAX_TYPE + 2, "{}", counting.0.get());
}

#[test]
fn a_text_that_an_error_repeats_is_in_the_message_once() {
    let inner = io::Error::other(Layer("disk full", None));
    let exception = described(&anyhow::Error::new(inner).context("saving: disk full"));
    assert_eq!(exception.message, "saving: disk full");
    assert_eq!(exception.error_type, "Layer", "the error inside the I/O error");
}

/// An error that is its own source.
#[derive(Debug)]
struct Endless;

impl Display for Endless {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("endless")
    }
}

impl Error for Endless {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(self)
    }
}

#[test]
fn the_chain_of_an_error_that_is_its_own_source_ends() {
    assert_eq!(crate::failure::user_error::find_user_error_in_chain(&Endless), None);
    let exception = described(&Endless);
    assert_eq!(exception.message, "endless");
    assert_eq!(causes(&exception).len(), 1);
}

#[test]
fn a_long_chain_is_cut_after_its_first_errors() {
    let mut error = anyhow::Error::new(fmt::Error);
    for depth in 0..1_000 {
        error = error.context(format!("context {depth}"));
    }
    let exception = described(&error);
    assert_eq!(exception.error_type, "Error", "the cause is too deep");
    assert!(exception.message.starts_with("context 999: context 998: "));
    assert_eq!(causes(&exception).len(), MAX_DEPTH);
}
