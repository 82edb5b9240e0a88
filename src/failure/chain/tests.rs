use super::*;

fn message(texts: &[&str]) -> String {
    texts.iter().collect::<Message>().into_text()
}

#[test]
fn a_message_has_each_text_once_from_the_outermost_in() {
    assert_eq!(
        message(&["training", "loading a.toml", "no such file"]),
        "training: loading a.toml: no such file"
    );
    assert_eq!(message(&["endless", "endless", "endless"]), "endless");
    assert_eq!(message(&["a: b: c", "b: c", "c"]), "a: b: c");
    assert_eq!(message(&["", "no such file\n", ""]), "no such file");
    assert_eq!(message(&[]), "");
}

#[test]
fn a_text_is_repeated_only_if_it_stands_there_as_whole_words() {
    assert_eq!(message(&["not found", "no"]), "not found: no");
    assert_eq!(message(&["step 12 failed", "2"]), "step 12 failed: 2");
    assert_eq!(message(&["größer", "größe"]), "größer: größe");
    assert_eq!(message(&["cannot read (os error 2)", "(os error 2)"]), "cannot read (os error 2)");
    assert_eq!(message(&["no, not one: no", "no"]), "no, not one: no");
}

#[test]
fn the_error_inside_an_io_error_is_a_link_of_the_chain() {
    let error = io::Error::other(anyhow::Error::new(std::fmt::Error).context("while printing"));
    assert!(chain(&error).any(<dyn Error>::is::<std::fmt::Error>));
    assert_eq!(
        texts(chain(&error), 100).collect::<Message>().into_text(),
        "while printing: an error occurred when formatting an argument"
    );
}

#[test]
fn the_texts_of_a_chain_are_bounded_in_all() {
    let error = anyhow::Error::new(io::Error::other("é".repeat(1_000))).context("x".repeat(1_000));
    for max in [0, 1, 500, 1_500, 10_000] {
        let total: usize = texts(chain(error.as_ref()), max).map(|text| width(&text)).sum();
        assert!(total <= max, "{total} of {max}");
    }
}
