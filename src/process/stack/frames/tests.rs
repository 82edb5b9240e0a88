use super::*;

fn frames(text: &str) -> String {
    Frames(text).to_string()
}

#[test]
fn a_stack_begins_with_the_first_frame_of_the_program() {
    let text = "   0: <E as anyhow::context::ext::StdError>::ext_context
             at /registry/anyhow-1.0.104/src/backtrace.rs:10:14
   1: anyhow::context::<impl anyhow::Context<T,E> for core::result::Result<T,E>>::context
             at /registry/anyhow-1.0.104/src/context.rs:54:37
   2: probe::load
             at ./src/main.rs:2:72
   3: probe::main
             at ./src/main.rs:3:18
   4: core::ops::function::FnOnce::call_once
";
    let expected = "   0: probe::load
             at ./src/main.rs:2:72
   1: probe::main
             at ./src/main.rs:3:18
   2: core::ops::function::FnOnce::call_once
";
    assert_eq!(frames(text), expected);
}

#[test]
fn a_function_that_was_inlined_into_one_of_the_standard_library_is_the_first() {
    let text = "   4: core::option::Option<T>::map
      probe::step
             at ./src/main.rs:9:5
   5: probe::main
";
    assert_eq!(frames(text), "   0: probe::step\n             at ./src/main.rs:9:5\n   1: probe::main\n");
}

#[test]
fn with_line_tables_alone_the_file_of_a_function_decides() {
    let text = "   0: create
             at /rustc/59807616e1fa/library/std/src/backtrace.rs:331:13
   1: ext_context<eyre::Report>
             at /home/me/.cargo/registry/src/index-1949/eyre-0.6.12/src/context.rs:10:14
   2: {closure#0}
             at ./src/reporter/mod.rs:9:1
   3: {closure#0}
             at ./tests/steps.rs:2:72
   4: check<std::path::Path>
             at ./examples/cli_tool.rs:9:5
";
    let expected = "   0: {closure#0}
             at ./tests/steps.rs:2:72
   1: check<std::path::Path>
             at ./examples/cli_tool.rs:9:5
";
    assert_eq!(frames(text), expected);
}

#[test]
fn addresses_before_the_names_are_kept() {
    let text = "   0:     0x55d0 - std[1a2b]::backtrace::Backtrace::create
   1:     0x55d1 - probe[3c]::main
";
    assert_eq!(frames(text), "   0:     0x55d1 - probe[3c]::main\n");
}

#[test]
fn a_stack_without_frames_of_the_program_stays_as_it_is() {
    for text in ["", "   0: std::rt::lang_start\n   1: core::x\n", "no stack at all: 7", "disabled backtrace"]
    {
        assert_eq!(frames(text), text);
    }
}

#[test]
fn a_frame_is_plumbing_if_its_type_and_its_trait_are() {
    let plumbing = [
        "std::backtrace::Backtrace::create",
        "<std::backtrace::Backtrace>::create",
        "tinker_telemetry::process::stack::Stack::capture",
        "<tinker_telemetry::reporter::Reporter>::log_exception::<my::Error, my::Kind>",
        "<core::result::Result<T,F> as core::ops::try_trait::FromResidual<E>>::from_residual",
        "<core::result::Result<(), my::Error> as anyhow::Context<(), my::Error>>::context::<&str>",
        "<E as anyhow::context::ext::StdError>::ext_context",
        "<T as core::convert::Into<U>>::into",
        "<&dyn core::ops::function::Fn<(), Output = i32> + core::marker::Sync as core::ops::function::FnOnce<()>>::call_once",
        "core::ops::function::impls::<impl core::ops::function::FnOnce<A> for &F>::call_once",
        "rust_begin_unwind",
        "__rust_try",
        "__rustc::rust_begin_unwind",
        "__rustc[1a2b]::rust_begin_unwind",
    ];
    let of_the_program = [
        "my::main",
        "main",
        "<my::Guard as core::ops::drop::Drop>::drop",
        "<core::result::Result<T, E> as my::Extension>::or_report",
        "<fn() -> std::io::Error as my::Make>::make",
        "my::main::{{closure}}",
        "<unknown>",
        "stdx::main",
        "größe::rechne",
    ];
    for symbol in plumbing {
        assert!(is_plumbing(symbol, None), "{symbol}");
    }
    for symbol in of_the_program {
        assert!(!is_plumbing(symbol, None), "{symbol}");
    }
}
