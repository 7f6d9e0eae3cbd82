//! Pictures of QR codes: in the organisation's colours, with its logo, readable by all decoders, and by no
//! other user.

use qrtotp_tests::{
    Output, Pty, Sandbox,
    decoders::{agreed, read_png},
    uri_of,
};
use rustix::process::Signal;

const QUIET: [&str; 2] = ["--qr", "none"];

fn host() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.add_user("alice");
    sandbox.run(&["mkdir", "-m", "700", "/root/codes"]).success();
    sandbox
}

/// Configures `[brand]` with these keys and a logo of `shape` pixels, if one is given.
fn brand(sandbox: &Sandbox, keys: &str, shape: Option<&str>) {
    let mut text = format!("[brand]\n{keys}\n");
    if let Some(shape) = shape {
        sandbox.run(&["rm", "-f", "/etc/qrtotp/logo.png"]).success();
        let colours = ["gradient:#d00000-#2000a0", "-alpha", "set"];
        sandbox
            .run(&[&["convert", "-size", shape][..], &colours, &["/etc/qrtotp/logo.png"]].concat())
            .success();
        text.push_str("logo = \"/etc/qrtotp/logo.png\"\n");
    }
    sandbox.configure(&text);
}

fn start(sandbox: &Sandbox, file: &str, more: &[&str]) -> (Pty, qrtotp_tests::Phone, String) {
    sandbox.start_enrolment("alice", &[&QUIET[..], &["--no-verify", "--save", file], more].concat())
}

/// The message of an enrolment that is refused before it shows anything.
fn refusal(sandbox: &Sandbox, arguments: &[&str]) -> String {
    let output = sandbox.run(&[&["qrtotp", "enroll", "alice"], &QUIET[..], arguments].concat()).exited(1);
    assert!(!output.stdout.contains("otpauth") && !output.stdout.contains("Key: "), "{output:?}");
    output.stderr
}

/// The decoders' reading of a picture, which any SVG program draws.
fn scan(sandbox: &Sandbox, file: &str) -> String {
    let png = if file.ends_with(".svg") {
        sandbox.run(&["xmllint", "--noout", "--nonet", file]).success();
        sandbox.run(&["rsvg-convert", "--output", "/root/drawn.png", file]).success();
        "/root/drawn.png"
    } else {
        sandbox.run(&["pngcheck", "-q", file]).success();
        file
    };
    let png = std::fs::read(sandbox.path(png)).unwrap(); // not recorded: the picture is the secret
    agreed(&read_png(&png)).unwrap_or_default()
}

fn give_up(mut pty: Pty) -> String {
    pty.send("q");
    pty.failure()
}

fn stat(sandbox: &Sandbox, file: &str) -> Output {
    sandbox.run(&["stat", "-c", "%a %U %F", file])
}

/// The result for a branded picture.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Fate {
    Scanned,
    /// Refused, with this figure in the message.
    Refused(&'static str),
}
use Fate::{Refused, Scanned};

const PICTURES: [&str; 2] = ["/root/codes/a.svg", "/root/codes/a.png"];

fn meets_its_fate(sandbox: &Sandbox, fate: Fate, files: &[&str], case: &str) {
    for file in files {
        match fate {
            Refused(figure) => {
                let said = refusal(sandbox, &["--save", file]);
                assert!(said.contains(figure), "{case}: {said}");
                let check = sandbox.run(&["qrtotp", "config", "check"]).exited(1);
                assert!(check.stdout.contains("danger: brand: "), "{case}: {check:?}");
                assert!(!sandbox.exists(file), "{case}");
            }
            Scanned => {
                let (pty, _, uri) = start(sandbox, file, &[]);
                assert_eq!(scan(sandbox, file), uri, "{case} {file}");
                give_up(pty);
                assert!(!sandbox.exists(file), "an enrolment that failed leaves no picture: {case}");
            }
        }
    }
}

const COLOURS: [(&str, &str, Fate); 13] = [
    ("#000000", "#ffffff", Scanned),
    ("#767676", "#ffffff", Scanned), // 4.54:1, the lightest accepted grey
    ("#777777", "#ffffff", Refused("4.47:1")),
    ("#0b5fff", "#ffffff", Scanned),
    ("#7a0019", "#ffd166", Scanned),
    ("#00308f", "#b0e0e6", Scanned),
    ("#005000", "#ffff00", Scanned),
    ("#000000", "#808080", Scanned),
    ("#ff0000", "#ffffff", Refused("3.99:1")),
    ("#000000", "#333333", Refused("1.66:1")),
    ("#123456", "#123456", Refused("1.00:1")),
    ("#ffffff", "#000000", Refused("21.00:1")),
    ("#ffd166", "#7a0019", Refused("inverted")),
];

const DAMAGES: Fate = Refused("% damages");
const COVERS: Fate = Refused("% covers patterns");
/// Square logos, by the longer side in percent of the picture's, and the results at level L, M, Q and H.
const LOGOS: [(u8, [Fate; 4]); 6] = [
    (0, [Scanned; 4]),
    (10, [Scanned; 4]),
    (15, [Scanned; 4]),
    (20, [DAMAGES, Scanned, Scanned, Scanned]),
    (23, [DAMAGES, Scanned, Scanned, Scanned]),
    (30, [DAMAGES, DAMAGES, COVERS, COVERS]),
];
const LEVELS: [&str; 4] = ["L", "M", "Q", "H"];

/// Tries every pair of colours with every logo, as SVG and PNG in turn.
fn all_meet_their_fates(level: usize) {
    let sandbox = host();
    for (row, (size, fates)) in LOGOS.into_iter().enumerate() {
        for (column, (dark, light, fate)) in COLOURS.into_iter().enumerate() {
            let level_name = LEVELS[level];
            let keys = format!("dark = \"{dark}\"\nlight = \"{light}\"\ncorrection = \"{level_name}\"");
            match size {
                0 => brand(&sandbox, &keys, None),
                _ => brand(&sandbox, &format!("{keys}\nlogo_size = {size}"), Some("240x240")),
            }
            let fate = if fate == Scanned { fates[level] } else { fate };
            let picture = &PICTURES[(row + column + level) % 2..][..1];
            let case = format!("{dark} on {light}, logo {size} %, level {level_name}");
            meets_its_fate(&sandbox, fate, picture, &case);
        }
    }
}

#[test]
fn at_level_l_every_colour_pair_with_every_logo_is_read_by_all_decoders_or_refused_with_its_figure() {
    all_meet_their_fates(0);
}

#[test]
fn at_level_m_every_colour_pair_with_every_logo_is_read_by_all_decoders_or_refused_with_its_figure() {
    all_meet_their_fates(1);
}

#[test]
fn at_level_q_every_colour_pair_with_every_logo_is_read_by_all_decoders_or_refused_with_its_figure() {
    all_meet_their_fates(2);
}

#[test]
fn at_level_h_every_colour_pair_with_every_logo_is_read_by_all_decoders_or_refused_with_its_figure() {
    all_meet_their_fates(3);
}

fn logos(shape: &str, colours: &str, cases: &[(u8, &str, Fate)]) {
    let sandbox = host();
    for (size, level, fate) in cases {
        let level = if level.is_empty() { String::new() } else { format!("correction = \"{level}\"\n") };
        brand(&sandbox, &format!("{colours}\n{level}logo_size = {size}"), Some(shape));
        meets_its_fate(&sandbox, *fate, &PICTURES, &format!("{shape} {size} % {level}"));
    }
}

const LEAST_CONTRAST: &str = "dark = \"#767676\"\nlight = \"#ffffff\"";

#[test]
fn of_itself_the_command_chooses_the_correction_that_bears_the_logo() {
    let cases = [
        (5, "", Scanned),
        (15, "", Scanned),
        (20, "", Scanned),
        (23, "", Scanned),
        (26, "", Refused("a logo of 26 % damages")),
        (40, "", Refused("% is the most here")),
    ];
    logos("64x64", LEAST_CONTRAST, &cases);
}

#[test]
fn wide_and_tall_logos_are_scanned_or_refused_with_what_they_damage() {
    let wide = [
        (20, "L", Scanned),
        (35, "L", Refused("a logo of 35 % damages")),
        (40, "H", Scanned),
        (30, "", Scanned),
    ];
    logos("300x100", "", &wide);
    logos("1x3", "", &[(20, "M", Scanned), (30, "Q", Scanned)]);
}

#[test]
fn a_logo_that_is_no_small_png_of_roots_is_refused() {
    let sandbox = host();
    brand(&sandbox, "", Some("1025x8"));
    assert!(refusal(&sandbox, &["--save", "/root/codes/a.svg"]).contains("1025x8"));
    sandbox.overwrite("/etc/qrtotp/logo.png", "GIF89a");
    assert!(refusal(&sandbox, &["--save", "/root/codes/a.svg"]).contains("brand.logo"));
    brand(&sandbox, "", Some("8x8"));
    sandbox.run(&["chown", "alice", "/etc/qrtotp/logo.png"]).success();
    assert!(refusal(&sandbox, &["--save", "/root/codes/a.svg"]).contains("brand.logo"));
    sandbox.import("alice"); // all else still works
    assert!(!sandbox.exists("/root/codes/a.svg"));
}

#[test]
fn an_issuer_full_of_markup_makes_a_well_formed_svg() {
    let sandbox = host();
    sandbox.overwrite(
        "/etc/qrtotp/qrtotp.toml",
        "state_dir = \"/var/lib/qrtotp\"\nissuer = \"R&D <\\\"]]>' ünï -->\"\n",
    );
    sandbox.apply_configuration().success();
    let (pty, _, uri) = start(&sandbox, "/root/codes/a.svg", &[]);
    assert_eq!(scan(&sandbox, "/root/codes/a.svg"), uri);
    give_up(pty);
}

#[test]
fn a_picture_is_its_owners_alone_is_named_as_a_standing_key_and_stays_after_the_first_code() {
    let sandbox = host();
    for file in ["/root/codes/a.svg", "/root/codes/a.png"] {
        let (mut pty, phone, uri) = start(&sandbox, file, &[]);
        assert!(pty.transcript().contains("standing key") && pty.transcript().contains("--ephemeral"));
        assert_eq!(stat(&sandbox, file).success().stdout, "600 root regular file\n");
        pty.send(&phone.code());
        assert!(pty.success().contains("is still there"));
        assert_eq!(scan(&sandbox, file), uri);
    }
}

#[test]
fn nothing_is_overwritten_and_nothing_written_through_a_link_or_where_others_may_write() {
    let sandbox = host();
    sandbox.run(&["mkdir", "-m", "777", "/root/open"]).success();
    sandbox.overwrite("/root/codes/there.svg", "mine");
    for (target, link) in [
        ("/root/codes/there.svg", "/root/codes/link.svg"),
        ("/root/codes/nowhere.svg", "/root/codes/dangling.svg"),
        ("/root/codes", "/root/alias"),
    ] {
        sandbox.run(&["ln", "-s", target, link]).success();
    }
    for (file, word) in [
        ("/root/codes/there.svg", "nothing is overwritten"),
        ("/root/codes/link.svg", "nothing is overwritten"),
        ("/root/codes/dangling.svg", "nothing is overwritten"),
        ("/root/alias/new.svg", "symbolic link"),
        ("/root/open/new.svg", "others may write"),
        ("/home/alice/new.svg", "somebody else"),
        ("/root/missing/new.svg", "does not exist"),
        ("/root/codes/new.jpg", ".svg or .png"),
        ("/root/codes/svg", ".svg or .png"),
    ] {
        let said = refusal(&sandbox, &["--save", file, "--ephemeral"]);
        assert!(said.contains(word), "{file}: {said}");
    }
    assert_eq!(sandbox.read("/root/codes/there.svg"), "mine");
    sandbox.overwrite("/root/codes/\u{1b}[7m.svg", "mine");
    let said = refusal(&sandbox, &["--save", "/root/codes/\u{1b}[7m.svg"]);
    assert!(said.contains("/root/codes/?[7m.svg is there already") && !said.contains('\u{1b}'), "{said:?}");
    let files = sandbox.run(&["find", "/root", "/home/alice", "-name", "*new*", "-o", "-name", "nowhere*"]);
    assert_eq!(files.success().stdout, "");
    assert!(!sandbox.exists("/var/lib/qrtotp/store.toml"), "refused before anything was made");
}

#[test]
fn an_ephemeral_picture_goes_with_the_first_right_code() {
    let sandbox = host();
    let file = "/root/codes/a.png";
    let (mut pty, phone, uri) = start(&sandbox, file, &["--ephemeral"]);
    assert_eq!(scan(&sandbox, file), uri);
    pty.send(&phone.wrong_code());
    pty.expect("Code: ");
    assert!(sandbox.exists(file), "a wrong code is no confirmation");
    pty.send(&phone.code());
    assert!(pty.success().contains("/root/codes/a.png was deleted"));
    assert!(!sandbox.exists(file));
}

#[test]
fn a_picture_goes_with_a_dialogue_that_ends_without_a_device_however_it_ends() {
    let sandbox = host();
    let file = "/root/codes/a.svg";
    for more in [&["--ephemeral"][..], &[]] {
        let (pty, ..) = start(&sandbox, file, more);
        assert!(give_up(pty).contains("was deleted"));
        assert!(!sandbox.exists(file));
        for signal in [Signal::INT, Signal::TERM, Signal::HUP, Signal::QUIT] {
            let (mut pty, ..) = start(&sandbox, file, more);
            assert!(sandbox.exists(file));
            pty.signal(signal);
            assert!(pty.failure().contains("was deleted"), "{signal:?}");
            assert!(!sandbox.exists(file), "{signal:?}");
        }
    }
}

#[test]
fn another_qr_code_replaces_the_picture_of_the_first() {
    let sandbox = host();
    let file = "/root/codes/a.png";
    let (mut pty, _, first) = start(&sandbox, file, &["--ephemeral"]);
    pty.send("n");
    pty.expect("Code: ");
    let second = scan(&sandbox, file);
    assert!(second.starts_with(&uri_of("alice", "")) && second != first);
    give_up(pty);
}

#[test]
fn the_heading_has_colour_where_the_terminal_has_and_nobody_objects() {
    let sandbox = host();
    brand(&sandbox, "accent = \"#0b5fff\"", None);
    let (true_colour, palette) = ("\u{1b}[38;2;255;255;255;48;2;11;95;255m", "\u{1b}[38;5;231;48;5;27m");
    for (environment, expected) in [
        (&["TERM=xterm-256color"][..], Some(palette)),
        (&["TERM=xterm-256color", "COLORTERM=truecolor"], Some(true_colour)),
        (&["TERM=xterm-256color", "NO_COLOR=1"], None),
        (&["TERM=vt100"], None),
        (&["TERM=dumb", "COLORTERM=truecolor"], None),
    ] {
        let starter = [&["env"], environment].concat();
        let (pty, ..) = sandbox.start_enrolment_with(&starter, "alice", &["--qr", "utf8"]);
        let shown = give_up(pty);
        match expected {
            Some(escape) => {
                assert!(shown.contains(&format!("{escape} A second factor for alice")), "{shown:?}")
            }
            None => assert!(!shown.contains('\u{1b}'), "{environment:?} {shown:?}"),
        }
    }
    let piped = sandbox
        .run_with_input(&["env", "COLORTERM=truecolor", "qrtotp", "enroll", "alice", "--qr", "none"], "q\n");
    assert!(
        piped.stdout.contains("A second factor for alice") && !piped.stdout.contains('\u{1b}'),
        "{piped:?}"
    );
    brand(&sandbox, "accent = \"#ffffff\"\naccent_text = \"#777777\"", None);
    assert!(refusal(&sandbox, &[]).contains("4.47:1"));
}

#[test]
fn every_dialogue_names_host_account_and_issuer_and_warns_of_qr_codes_by_mail() {
    let sandbox = host();
    let host = sandbox.run(&["hostname"]).success().stdout;
    for more in
        [&["--qr", "utf8"][..], &["--qr", "ascii"], &QUIET, &["--qr", "none", "--save", "/root/codes/a.svg"]]
    {
        let (pty, ..) = sandbox.start_enrolment("alice", more);
        let shown = give_up(pty).replace("\r\n", " ").replace('\n', " ");
        assert!(shown.contains(&format!("for alice on {}", host.trim())), "{shown}");
        assert!(
            shown.contains("as \"Tests\", account \"alice@")
                && shown.contains("Nobody will ever send you a QR code by mail"),
            "{shown}"
        );
    }
}
