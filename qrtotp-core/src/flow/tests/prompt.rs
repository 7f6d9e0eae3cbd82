//! The dialogue that fits into one question of PAM.
use super::*;
use crate::policy::FirstLogin;
use crate::qr::{Polarity, Style};

/// A PAM host: all it can do is ask.
#[derive(Default)]
struct Line {
    answers: VecDeque<Vec<u8>>,
    asked: Vec<String>,
    shown: Vec<String>,
}

impl Dialog for Line {
    fn show(&mut self, text: &str) {
        self.shown.push(text.to_owned());
    }
    fn ask(&mut self, prompt: &str, echo: Echo) -> Result<Typed, NoAnswer> {
        assert_eq!(echo, Echo::On);
        self.asked.push(prompt.to_owned());
        self.answers.pop_front().map(Typed::new).ok_or(NoAnswer)
    }
}

/// Enrols alice on `host` with these answers and gives all questions.
fn questions(issuer: &str, host: &str, answers: &[&str]) -> Vec<String> {
    let mut w = World::new();
    w.config.defaults.first_login = FirstLogin::Enroll;
    w.config.issuer = Some(issuer.into());
    w.config.brand.contact = Some("help desk, second floor".into());
    let mut line = Line {
        answers: answers.iter().map(|answer| answer.as_bytes().to_vec()).collect(),
        ..Line::default()
    };
    let (name, label, subject) = (World::name(), Label::default(), World::subject("alice"));
    let contact = w.config.brand.contact.clone();
    let invitation = Invitation {
        name: &name,
        uid: UID,
        label: &label,
        authority: Authority::PrimaryFactor,
        subject: &subject,
        issuer: &w.config.issuer_on(host),
        params: Params::default(),
    };
    let _ = Enrollment {
        invitation: &invitation,
        config: &w.config,
        store: &w.store,
        dialog: &mut PromptDialog::new(&mut line, host, contact.as_deref()),
        clock: &w.clock,
        audit: &mut w.log,
    }
    .run();
    line.asked
}

fn is_picture(c: char) -> bool {
    "█▀▄".contains(c)
}

#[test]
fn one_question_holds_picture_key_and_choices_and_fits_80_by_24() {
    let asked = questions("Example", "bastion", &[]);
    let question = asked[0].strip_prefix('\n').expect("a client prints its own words before the first line");
    let lines: Vec<_> = question.lines().collect();
    assert!(lines.len() <= 24, "{question}");
    for line in &lines {
        assert!(line.chars().count() <= 79, "{line}");
        assert!(line.chars().all(|c| is_picture(c) || (' '..='~').contains(&c)), "{line}");
    }
    for needed in ["host     bastion", "account  alice", "issuer   Example", "help desk", "by mail"] {
        assert!(question.contains(needed), "{needed} in {question}");
    }
    let last = lines.last().unwrap();
    assert!(last.is_ascii() && last.contains("a: ") && last.contains("k: "), "{last}");
}

#[test]
fn the_key_is_whole_and_in_groups_of_four() {
    let asked = questions("Example", "bastion", &["k"]);
    let groups = |text: &str| -> Vec<String> {
        let is_group = |word: &&str| {
            word.len() == 4 && word.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
        };
        text.split_whitespace().filter(is_group).map(str::to_owned).collect()
    };
    let uri = asked[1].lines().find(|line| line.starts_with("otpauth://")).unwrap();
    let key = groups(&asked[0]).concat();
    assert_eq!(key.len(), 32, "{}", asked[0]);
    assert!(uri.contains(&format!("secret={key}")));
    assert!(asked[1].is_ascii(), "text only");
}

#[test]
fn choices_redraw_the_same_secret() {
    let asked = questions("Example", "bastion", &["i", "a", "i", "k", "A"]);
    assert_eq!(asked.len(), 6);
    let uri = asked[4].lines().find(|line| line.starts_with("otpauth://")).unwrap();
    let picture = |style, polarity| {
        let matrix = crate::qr::Matrix::encode(uri, crate::qr::Level::Low).unwrap();
        crate::qr::render(&matrix, style, polarity)
    };
    let rows_of = |question: &str| -> String {
        let wide = |line: &str| line.chars().any(|c| is_picture(c) || c == '#');
        let side = picture(Style::Utf8, Polarity::Normal).lines().next().unwrap().chars().count();
        question
            .lines()
            .filter(|line| wide(line) && !line.contains('('))
            .map(|line| {
                line.chars().take(if line.contains('#') { 500 } else { side }).collect::<String>() + "\n"
            })
            .collect()
    };
    assert_eq!(rows_of(&asked[0]), *picture(Style::Utf8, Polarity::Normal));
    assert!(asked[1].contains(picture(Style::Utf8, Polarity::Inverted).lines().nth(5).unwrap()));
    assert!(asked[2].contains(picture(Style::Ascii, Polarity::Inverted).as_str()));
    assert!(asked[3].contains(picture(Style::Ascii, Polarity::Normal).as_str()));
    assert!(asked[2].is_ascii() && asked[3].is_ascii());
}

#[test]
fn long_names_get_the_shorter_uri_and_then_a_word_about_the_window() {
    let medium = &questions("Example Corp", "web-1.example.net", &["k"]);
    assert!(medium[0].lines().count() <= 25, "{}", medium[0]);
    let long = &questions(&"Very Long Organisation ".repeat(2), &"x".repeat(64), &[]);
    assert!(long[0].contains("Make the window"), "{}", long[0]);
    assert!(long[0].lines().all(|line| line.chars().count() <= 90));
}

#[test]
fn names_from_outside_stay_ascii() {
    let asked = questions("Bücher \u{202e}evil", "høst", &[]);
    assert!(asked[0].contains("issuer   B?cher ?evil") && asked[0].contains("host     h?st"), "{}", asked[0]);
}

#[test]
fn a_wrong_code_is_asked_again_without_the_picture() {
    let asked = questions("Example", "bastion", &["000000", "000000"]);
    assert!(asked[1].starts_with("\nThat was not the code."));
    assert!(!asked[1].contains('█') && asked.len() == 3);
}

#[test]
fn no_line_of_a_question_about_recovery_codes_is_wider_than_77_columns() {
    let (_, codes) = crate::account::RecoverySet::generate(START).unwrap();
    let codes: Vec<_> = codes.iter().map(crate::account::RecoveryCode::display).collect();
    for note in [None, Some("That is the last group of none of them: it has four characters.")] {
        let mut line = Line { answers: [b"skip".to_vec()].into(), ..Line::default() };
        PromptDialog::new(&mut line, "bastion", None).recovery_codes(&codes, note).unwrap();
        assert!(line.asked[0].lines().all(|line| line.chars().count() <= 77), "{}", line.asked[0]);
        assert!(line.asked[0].ends_with(ACKNOWLEDGE));
    }
}

#[test]
fn nobody_asks_for_ever() {
    let asked = questions("Example", "bastion", &["i"; 100]);
    assert!(asked.len() <= 40);
}
