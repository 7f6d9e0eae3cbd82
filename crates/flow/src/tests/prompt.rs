//! The dialogue that fits into one question of PAM.
use super::*;
use qrtotp_messages::Catalogue;
use qrtotp_otp::qr::{Polarity, Style};
use qrtotp_policy::FirstLogin;

/// A PAM host that can only ask.
#[derive(Default)]
struct Line {
    answers: VecDeque<Vec<u8>>,
    asked: Vec<String>,
    shown: Vec<String>,
    catalogue: Catalogue,
}

impl Dialog for Line {
    fn show_text(&mut self, text: &str) {
        self.shown.push(text.to_owned());
    }
    fn ask_text(&mut self, prompt: &str, echo: Echo) -> Result<Typed, NoAnswer> {
        assert_eq!(echo, Echo::On);
        self.asked.push(prompt.to_owned());
        self.answers.pop_front().map(Typed::new).ok_or(NoAnswer)
    }
    fn catalogue(&self) -> &Catalogue {
        &self.catalogue
    }
}

/// English, Dutch and German, compiled as the package does it.
fn catalogues() -> [Catalogue; 3] {
    ["", "nl", "de"].map(|language| {
        let source = format!("{}/../../po/{language}.po", env!("CARGO_MANIFEST_DIR"));
        let compiled = || std::process::Command::new("msgfmt").args(["--output-file=-", &source]).output();
        match language {
            "" => Catalogue::default(),
            _ => Catalogue::new(language, compiled().expect("msgfmt (gettext) is needed").stdout).unwrap(),
        }
    })
}

/// Enrols alice on `host` over ssh with these answers and returns all questions.
fn questions(issuer: &str, host: &str, answers: &[&str]) -> Vec<String> {
    questions_at("ssh", issuer, host, answers)
}

fn questions_at(tty: &str, issuer: &str, host: &str, answers: &[&str]) -> Vec<String> {
    questions_in(Catalogue::default(), tty, issuer, host, answers)
}

fn questions_in(catalogue: Catalogue, tty: &str, issuer: &str, host: &str, answers: &[&str]) -> Vec<String> {
    let mut w = World::new();
    w.config.defaults.first_login = FirstLogin::Enroll;
    w.config.issuer = Some(issuer.into());
    w.config.brand.contact = Some("help desk, second floor".into());
    let mut line = Line {
        answers: answers.iter().map(|answer| answer.as_bytes().to_vec()).collect(),
        catalogue,
        ..Line::default()
    };
    let (name, label, authority) = (World::name(), Label::default(), Authority::PrimaryFactor);
    let contact = w.config.brand.contact.clone();
    let request = EnrolmentRequest { name: &name, uid: UID, label: &label, authority, host };
    let mut dialog = PromptDialog::new(&mut line, host, contact.as_deref(), tty);
    let _ = super::enroll(&mut w.ctx("alice"), &mut dialog, request);
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
        assert!(line.chars().count() <= 77, "{line}");
        assert!(line.chars().all(|c| is_picture(c) || (' '..='~').contains(&c)), "{line}");
    }
    for needed in ["host     bastion", "account  alice@bastion", "issuer   Example", "help desk", "by mail"] {
        assert!(question.contains(needed), "{needed} in {question}");
    }
    let last = lines.last().unwrap();
    assert!(last.is_ascii() && last.contains("a: ") && last.contains("k: "), "{last}");
}

#[test]
fn at_a_login_without_a_terminal_nothing_but_a_letter_of_the_choices_shows_the_key() {
    let asked = questions_at("", "Example", "bastion", &["", "?", "000000", "n", "yes", "k"]);
    for question in &asked[..6] {
        assert!(question.contains("names no terminal"), "{question}");
    }
    assert!(uri_of(&asked[6]).contains("secret="), "{}", asked[6]);
}

/// The URI in the question after `k`.
fn uri_of(question: &str) -> String {
    let (_, uri) = question.split_once("line breaks:\n").unwrap();
    uri.lines().take_while(|line| !line.contains(' ')).collect()
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
    let key = groups(&asked[0]).concat();
    assert_eq!(key.len(), 32, "{}", asked[0]);
    assert!(uri_of(&asked[1]).contains(&format!("secret={key}")));
    assert!(asked[1].is_ascii(), "text only");
}

/// The picture in a question: columns of `side`, from where the first one begins.
fn picture_in(question: &str, wide: usize) -> String {
    let glyph = |line: &str| line.contains("@@") || line.chars().any(is_picture);
    let first = |line: &str| line.chars().take(wide).collect::<String>();
    question.lines().map(first).filter(|line| glyph(line)).map(|line| line + "\n").collect()
}

fn expected(uri: &str, style: Style, polarity: Polarity) -> (usize, String) {
    use qrtotp_otp::qr::{Level, Matrix, quiet_zone, render, size};
    let matrix = Matrix::encode(uri, Level::Low).unwrap();
    let quiet = quiet_zone(&matrix, style, 77, 23).unwrap();
    (size(&matrix, style, quiet).0, render(&matrix, style, polarity, quiet).to_string())
}

#[test]
fn choices_redraw_the_same_secret() {
    let asked = questions("Example", "bastion", &["i", "a", "i", "k", "A"]);
    assert_eq!(asked.len(), 6);
    let uri = uri_of(&asked[4]);
    for (index, style, polarity) in [
        (0, Style::Utf8, Polarity::Normal),
        (1, Style::Utf8, Polarity::Inverted),
        (2, Style::Ascii, Polarity::Inverted),
        (3, Style::Ascii, Polarity::Normal),
        (5, Style::Ascii, Polarity::Normal),
    ] {
        let (wide, picture) = expected(&uri, style, polarity);
        // Fully light lines have no glyph.
        let seen: String =
            picture.lines().filter(|line| !line.trim().is_empty()).map(|l| format!("{l}\n")).collect();
        assert_eq!(picture_in(&asked[index], wide), seen, "{index}");
    }
    assert!(asked[2].is_ascii() && asked[3].is_ascii());
}

#[test]
fn nothing_stands_below_a_picture_but_the_question() {
    for (tty, answers) in [("ssh", &["a"][..]), ("tty1", &[]), ("ssh", &[])] {
        for issuer in ["Example", &"x".repeat(64)] {
            let asked = questions_at(tty, issuer, "bastion", answers);
            let last: Vec<_> = asked.last().unwrap().lines().rev().take(2).collect();
            assert!(last[0].ends_with("i, n, q): "), "{last:?}");
            let picture = last[1].starts_with(['█', '▀', '@', ' ']) || last[1].contains("mail");
            assert!(picture, "{tty} {answers:?}: {last:?}");
        }
    }
}

/// The questions about an offer whose QR code holds the whole URI.
fn questions_about(
    catalogue: &Catalogue,
    tty: &str,
    issuer: &str,
    account: &str,
    answers: &[&str],
) -> Vec<String> {
    let key = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";
    let uri = Zeroizing::new(format!("otpauth://totp/{issuer}:{account}?secret={key}&issuer={issuer}"));
    let groups = key.as_bytes().chunks(4).map(|group| String::from_utf8(group.to_vec()).unwrap());
    let offer = Offer {
        picture: uri.clone(),
        uri,
        key: Zeroizing::new(groups.collect::<Vec<_>>().join(" ")),
        issuer: issuer.to_owned(),
        account: account.to_owned(),
        unusual: None,
    };
    let mut line = Line {
        answers: answers.iter().map(|answer| answer.as_bytes().to_vec()).collect(),
        catalogue: catalogue.clone(),
        ..Line::default()
    };
    let contact =
        "the help desk on the second floor, telephone 4711, or helpdesk@example.com at any time of day";
    let mut dialog = PromptDialog::new(&mut line, &"h".repeat(64), Some(contact), tty);
    let _ = dialog.first_code(QrState::Now(&offer), None);
    let note = Message::verbatim("a note of many words ".repeat(6));
    let _ = dialog.first_code(QrState::Now(&offer), Some(&note));
    let _ = dialog.first_code(QrState::Before { minutes: 12345 }, Some(&note));
    line.asked
}

#[test]
fn no_line_of_a_question_is_wider_than_77_columns_and_the_window_that_it_asks_for_is_enough() {
    let (mut sizes, mut sides) = (std::collections::BTreeSet::new(), std::collections::BTreeSet::new());
    let catalogues = catalogues();
    let issuers = (1..=64).map(|letters| "x".repeat(letters));
    for issuer in issuers.chain([20, 40, 64].map(|letters| "%C3%BC".repeat(letters))) {
        let places = [("ssh", "alice"), ("ssh", &"a".repeat(32)), ("tty1", "alice"), ("", "alice")];
        for (catalogue, (tty, account)) in
            catalogues.iter().flat_map(|catalogue| places.map(|at| (catalogue, at)))
        {
            for question in questions_about(catalogue, tty, &issuer, account, &["i", "a", "h", "k", "A"]) {
                for line in question.lines() {
                    assert!(line.chars().count() <= 77, "{tty} {}: {line}", issuer.len());
                }
                let picture = |line: &&str| line.starts_with(['█', '▀', '▄', '@']);
                let Some(first) = question.lines().find(picture) else { continue };
                sides.insert(first.chars().take_while(|c| !" ".contains(*c)).count());
                let from = question.lines().position(|line| picture(&line)).unwrap();
                let rows = question.lines().count() - from;
                let last = question.lines().last().unwrap();
                let advised = last
                    .split_once("80x")
                    .map_or(24, |(_, rest)| rest.split(';').next().unwrap().parse::<usize>().unwrap());
                assert!(rows <= advised, "{tty} {}: {rows} {last}", issuer.len());
                assert!(advised == 24 || advised <= rows + 4, "not far more than is needed: {last}");
                sizes.insert(advised);
            }
        }
    }
    // Versions 5 and 6, 7 and 8 in half blocks, and pictures two columns per module.
    assert!([45, 53, 57, 77].iter().all(|side| sides.contains(side)), "{sides:?}");
    assert!([24, 28, 30, 40].iter().all(|rows| sizes.contains(rows)), "{sizes:?}");
}

#[test]
fn a_plain_picture_of_long_names_leaves_out_the_issuer() {
    let asked = questions(&"Very Long Organisation ".repeat(2), "bastion", &["a", "k"]);
    assert!(asked[1].contains("leaves out the issuer"), "{}", asked[1]);
    let uri = uri_of(&asked[2]);
    let (_, secret) = uri.split_once("secret=").unwrap();
    let short = format!("otpauth://totp/alice@bastion?secret={}", &secret[..32]);
    assert!(asked[1].contains(&expected(&short, Style::Ascii, Polarity::Normal).1), "{}", asked[1]);
}

#[test]
fn the_linux_console_gets_full_blocks_and_may_have_half_blocks() {
    for (tty, console) in
        [("tty1", true), ("tty63", true), ("ttyS0", false), ("pts/1", false), ("ssh", false)]
    {
        let asked = questions_at(tty, "Example", "bastion", &["h", "k"]);
        let uri = uri_of(&asked[2]);
        assert_eq!(asked[0].contains(&expected(&uri, Style::Blocks, Polarity::Normal).1), console, "{tty}");
        assert_eq!(asked[0].contains("h: small"), console, "{tty}");
        let (wide, picture) = expected(&uri, Style::Utf8, Polarity::Normal);
        assert_eq!(picture_in(&asked[1], wide), picture, "{tty}");
    }
}

#[test]
fn without_a_terminal_neither_picture_nor_key_is_shown_before_somebody_asks_for_it() {
    let asked = questions_at("", "Example", "bastion", &["i", "k"]);
    let secret = uri_of(&asked[2]).split_once("secret=").unwrap().1[..4].to_owned();
    assert!(!asked[0].contains('█') && !asked[0].contains(&secret) && asked[0].is_ascii(), "{}", asked[0]);
    assert!(asked[0].contains("Type i"), "{}", asked[0]);
    assert!(asked[1].contains('█') && asked[1].contains(&secret));
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
    let (_, codes) = qrtotp_account::RecoverySet::generate(START).unwrap();
    let codes: Vec<_> = codes.iter().map(qrtotp_account::RecoveryCode::display).collect();
    let lead = "This lead is a sentence of so many words that it takes more than one line of a prompt, and it goes on.";
    for note in [None, Some(&text::NO_SUCH_GROUP)] {
        let mut line = Line { answers: [b"skip".to_vec()].into(), ..Line::default() };
        PromptDialog::new(&mut line, "bastion", None, "ssh")
            .with_lead(Message::verbatim(lead.to_owned()))
            .recovery_codes(&codes, note)
            .unwrap();
        assert!(line.asked[0].lines().all(|line| line.chars().count() <= 77), "{}", line.asked[0]);
        assert!(line.asked[0].ends_with(&text::ACKNOWLEDGE.to_string()));
    }
}

#[test]
fn the_usual_first_login_fits_into_80_by_24_in_every_language() {
    for catalogue in catalogues() {
        let language = catalogue.language().to_owned();
        for tty in ["ssh", "pts/1"] {
            let asked = questions_in(catalogue.clone(), tty, "Example Corp", "bastion", &[]);
            let lines: Vec<_> = asked[0].trim_start_matches('\n').lines().collect();
            assert!(lines.len() <= 24, "{language}: {}", asked[0]);
            assert!(lines.iter().all(|line| line.chars().count() <= 77), "{language}: {}", asked[0]);
            assert!(!asked[0].contains("80x"), "{language}: {}", asked[0]);
            assert_eq!(asked[0].contains("key as text"), language.is_empty(), "{}", asked[0]);
        }
    }
}

#[test]
fn nobody_asks_for_ever() {
    let asked = questions("Example", "bastion", &["i"; 100]);
    assert!(asked.len() <= 40);
}
