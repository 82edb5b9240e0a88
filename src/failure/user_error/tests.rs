use std::{fmt, io};

use super::*;

fn layers(inner: impl Error + Send + Sync + 'static) -> anyhow::Error {
    anyhow::Error::new(inner).context("middle failed").context("outer failed")
}

#[test]
fn user_statuses_are_all_4xx_but_408_and_429() {
    let user: Vec<u16> = (100..600).filter(|status| is_user_status(*status)).collect();
    assert_eq!(user.len(), 98);
    assert!(user.contains(&400) && user.contains(&499));
    assert!(!user.contains(&408) && !user.contains(&429));
}

#[test]
fn the_first_user_error_of_the_chain_wins() {
    let server = ApiError::new("down").with_status(503);
    assert_eq!(find_user_error_in_chain(&layers(server)), None);
    let by_category = ApiError::new("yours").with_category(ErrorCategory::User).with_status(500);
    assert_eq!(find_user_error_in_chain(&layers(by_category)).unwrap().status_code, Some(500));
    let wrapped = layers(io::Error::other(ApiError::new("in io").with_status(404)));
    assert_eq!(find_user_error_in_chain(&wrapped).unwrap().status_code, Some(404));
}

#[test]
fn the_message_of_a_user_error_begins_with_its_context() {
    let message = |error: anyhow::Error| find_user_error_in_chain(&error).unwrap().message;
    let quota = || ApiError::new("quota exceeded").with_status(403);
    assert_eq!(message(anyhow::Error::new(quota())), "quota exceeded");
    assert_eq!(
        message(anyhow::Error::new(quota()).context("loading a.toml")),
        "loading a.toml: quota exceeded"
    );
    let in_the_middle = io::Error::other(layers(io::Error::other(quota())));
    assert_eq!(message(in_the_middle.into()), "outer failed: middle failed: quota exceeded");
    let repeated = anyhow::Error::new(quota()).context("loading a.toml: quota exceeded");
    assert_eq!(message(repeated), "loading a.toml: quota exceeded");
    let long = message(anyhow::Error::new(quota()).context("x".repeat(1_000_000)));
    assert!(long.len() < MAX_CONTEXT + 20 && long.ends_with("… (cut): quota exceeded"));
}

#[test]
fn a_user_error_in_a_box_or_an_arc_is_found() {
    #[derive(Debug, thiserror::Error)]
    #[error("while sampling")]
    struct Sampling(#[source] Box<ApiError>);

    let error = || ApiError::new("yours").with_status(404);
    assert!(find_user_error_in_chain(&Box::new(error())).is_some());
    assert!(find_user_error_in_chain(&Arc::new(error())).is_some());
    assert!(find_user_error_in_chain(&Sampling(Box::new(error()))).is_some());
    assert!(find_user_error_in_chain(&Box::new(ureq::Error::StatusCode(404))).is_some());
    assert!(find_user_error_in_chain(&Box::new(ApiError::new("theirs").with_status(503))).is_none());
}

#[test]
fn a_foreign_error_is_a_user_error_if_the_classifier_recognises_it() {
    let error = layers(fmt::Error);
    let classifier =
        |error: &(dyn Error + 'static)| error.is::<fmt::Error>().then(|| UserError::new("fmt", "classified"));
    assert_eq!(find_user_error(error.as_ref(), None), None);
    assert_eq!(find_user_error(error.as_ref(), Some(&classifier)).unwrap().error_type, "fmt");
}

#[test]
fn a_category_is_read_in_any_case_and_an_unknown_one_is_an_error() {
    for category in ErrorCategory::ALL {
        for text in [category.to_string(), category.as_str().to_uppercase()] {
            assert_eq!(text.parse(), Ok(category));
        }
    }
    for unknown in ["", "users", " user"] {
        assert_eq!(unknown.parse::<ErrorCategory>(), Err(ParseErrorCategoryError), "{unknown}");
    }
}

#[test]
fn a_body_of_null_is_none() {
    let error = ApiError::new("no").with_status(404).with_body(Value::Null);
    assert_eq!(error.body, None);
    let mut by_field = UserError::from(&error);
    by_field.body = Some(Value::Null);
    assert_eq!(
        serde_json::to_value(by_field).unwrap(),
        serde_json::json!({"error_type": "ApiError", "message": "no", "status_code": 404})
    );
}
