#![allow(clippy::unwrap_used)]
use super::*;
use crate::text;
use proptest::prelude::*;

/// A file as msgfmt writes it, with these originals and translations.
fn file(texts: &[(&str, &str)]) -> Vec<u8> {
    let number = |n: usize| u32::try_from(n).unwrap();
    let (originals, translations) = (28, 28 + 8 * texts.len());
    let mut header = vec![MAGIC, 0, number(texts.len()), originals, number(translations), 0, 0];
    let (mut heap, start) = (Vec::new(), translations + 8 * texts.len());
    for text in texts.iter().map(|pair| pair.0).chain(texts.iter().map(|pair| pair.1)) {
        header.extend([number(text.len()), number(start + heap.len())]);
        heap.extend(text.bytes().chain([0]));
    }
    header.iter().flat_map(|number| number.to_le_bytes()).chain(heap).collect()
}

fn catalogue(texts: &[(&str, &str)]) -> Catalogue {
    Catalogue::new("nl", file(texts)).unwrap()
}

const LEFT: &str = "Wrong codes were typed before: this one is checked in {seconds} s.";

#[test]
fn a_translation_is_shown_with_its_values_and_a_missing_one_in_english() {
    let dutch = catalogue(&[("", "Content-Type: text/plain"), (LEFT, "Over {seconds} s.")]);
    assert_eq!(dutch.text(&text::wait_for_check(&7)), "Over 7 s.");
    assert_eq!(dutch.text(&text::QUESTION), "Verification code: ");
    assert_eq!(dutch.text(&Message::default()), "", "and not the header");
    assert_eq!(dutch.language(), "nl");
}

#[test]
fn a_translation_with_other_placeholders_than_its_message_is_not_shown() {
    for wrong in
        ["Zo meteen.", "{sekunden} s", "{seconds", "{seconds} {0}", "%s", "{seconds} \u{1b}[2J", "{}", ""]
    {
        let shown = catalogue(&[(LEFT, wrong)]).text(&text::wait_for_check(&7));
        assert_eq!(shown, LEFT.replace("{seconds}", "7"), "{wrong}");
    }
}

#[test]
fn a_value_is_never_taken_for_a_placeholder() {
    let shown = Catalogue::default().text(&text::not_enrolled(&"{user}{x}"));
    assert_eq!(shown, "{user}{x} is not enrolled; `qrtotp enroll {user}{x}` enrols a device");
}

#[test]
fn what_is_no_catalogue_is_refused() {
    assert!(Catalogue::new("nl", Vec::new()).is_none());
    assert!(Catalogue::new("nl", b"\x95\x04\x12\xde other byte order".to_vec()).is_none());
}

proptest! {
    #[test]
    fn a_damaged_catalogue_shows_a_translation_or_english_and_never_panics(
        damage in proptest::collection::vec((0_usize..200, any::<u8>()), 1..20),
        end in 4_usize..200,
    ) {
        let mut bytes = file(&[("", "header"), (LEFT, "Over {seconds} s."), ("Verification code: ", "Code: ")]);
        for (at, byte) in damage {
            if let Some(there) = bytes.get_mut(at + 4) {
                *there = byte;
            }
        }
        bytes.truncate(end);
        let dutch = Catalogue::new("nl", bytes).unwrap();
        prop_assert!(dutch.text(&text::wait_for_check(&7)).contains('7'));
        prop_assert!(dutch.len() <= MOST);
    }
}
