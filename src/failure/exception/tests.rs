use super::*;
use crate::failure::as_error::AsError;
use crate::process::stack::SHORT_WAIT;

#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Layer(&'static str, #[source] Option<Box<dyn Error + Send + Sync>>);

fn layers(inner: impl Error + Send + Sync + 'static) -> Layer {
    Layer("outer failed", Some(Box::new(Layer("middle failed", Some(Box::new(inner))))))
}

#[test]
fn a_traceback_names_the_whole_chain() {
    let error = layers(fmt::Error);
    let exception = describe(&error, AsError::type_name(&error), 10_000, SHORT_WAIT);
    assert_eq!(exception.error_type, "tinker_telemetry::failure::exception::tests::Layer");
    assert_eq!(exception.message, "outer failed");
    let chain = "tinker_telemetry::failure::exception::tests::Layer: outer failed\n\
                 Caused by: middle failed\n\
                 Caused by: an error occurred when formatting an argument";
    let traceback = exception.traceback.to_string();
    assert!(traceback.starts_with(chain), "{traceback}");
}

#[test]
fn a_boxed_error_has_its_own_name() {
    let name = |name| describe(&fmt::Error, Some(name), 10_000, SHORT_WAIT).error_type;
    assert_eq!(name("alloc::boxed::Box<my::Error<u8>>"), "my::Error<u8>");
    assert_eq!(name("alloc::sync::Arc<my::Error>"), "my::Error");
    assert_eq!(name("my::Box<u8>"), "my::Box<u8>");
}

#[test]
fn a_trait_object_has_the_name_that_its_debug_begins_with() {
    let name = |error: &(dyn Error + 'static)| describe(error, None, 10_000, SHORT_WAIT).error_type;
    assert_eq!(name(&Layer("x", None)), "Layer");
    assert_eq!(name(&io::Error::from(io::ErrorKind::NotFound)), "std::io::Error");
    assert_eq!(name(anyhow::anyhow!("text only").as_ref()), "Error");
}

#[test]
fn the_chain_of_an_error_that_is_its_own_source_ends() {
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
    assert_eq!(crate::failure::user_error::find_user_error_in_chain(&Endless), None);
    let causes = describe(&Endless, None, 100_000, SHORT_WAIT).traceback.to_string();
    assert_eq!(causes.matches("Caused by").count(), MAX_DEPTH);
}
