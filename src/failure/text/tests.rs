use proptest::prelude::*;

use super::*;

fn in_json(text: &str) -> usize {
    serde_json::to_string(text).unwrap().len() - 2
}

#[test]
fn long_text_is_cut_between_letters_and_marked() {
    assert_eq!(cut("abc", 3), "abc");
    let long = cut("é".repeat(50), 21);
    assert!(long.ends_with(CUT) && long.len() <= 21, "{long}");
    assert!(long.starts_with('é'));
}

#[test]
fn the_mark_never_makes_a_text_longer_than_its_limit() {
    for max in 0..=CUT.len() + 2 {
        assert!(cut("é".repeat(50), max).len() <= max, "{max}");
    }
    assert_eq!(cut("abc", 2), "ab");
    assert_eq!(cut("0123456789", CUT.len()), CUT);
}

#[test]
fn every_character_counts_as_json_writes_it() {
    for letter in '\0'..=char::MAX {
        let letter = letter.encode_utf8(&mut [0; 4]).to_owned();
        assert_eq!(width(&letter), in_json(&letter), "{letter:?}");
    }
}

proptest! {
    #[test]
    fn a_text_is_cut_exactly_where_its_json_passes_the_limit(
        parts in prop::collection::vec(r"[\x00-\x22\\é€𝄞]{0,5}", 0..6),
        max in 0_usize..80,
    ) {
        let whole = parts.concat();
        let text = cut(Parts(&parts), max);
        prop_assert!(in_json(&text) <= max);
        if in_json(&whole) <= max {
            prop_assert_eq!(text, whole);
        } else if let Some(kept) = text.strip_suffix(CUT).filter(|_| max >= CUT.len()) {
            let next = whole[kept.len()..].chars().next().unwrap();
            prop_assert!(whole.starts_with(kept));
            prop_assert!(in_json(&text) + in_json(&next.to_string()) > max);
        } else {
            prop_assert!(max < CUT.len() && whole.starts_with(&text));
        }
    }
}

/// Goes on writing after an error.
struct Parts<'p>(&'p [String]);

impl Display for Parts<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in self.0 {
            let _ = f.write_str(part);
        }
        Ok(())
    }
}
