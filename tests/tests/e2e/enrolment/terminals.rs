//! Other clients and terminals than OpenSSH in an xterm: PuTTY's plink, dropbear's dbclient, plain locales,
//! the Linux console.

use std::collections::BTreeMap;

use qrtotp_tests::{
    Pty, Sandbox,
    console::{Font, fonts},
    decoders,
    first_login::{CHOICES, INSIDE},
    screen::{Background, Terminal, scan_in, scan_off},
    uri_of,
};

fn host() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.configure("[defaults]\nfirst_login = \"enroll\"\n");
    sandbox.add_user("alice");
    sandbox.make_store();
    sandbox.password_and_enrolment("sshd");
    sandbox
}

/// From the picture into the host, with the phone that scanned `uri`.
fn enrols(sandbox: &Sandbox, client: &mut Pty, uri: &str) {
    assert!(uri.starts_with(&uri_of("alice", "")), "{uri}");
    client.enrol_by(sandbox, uri);
    let _ = sandbox.log.wait(&["event=login result=accepted reason=enrolled user=alice service=sshd"]);
}

/// Scans the last picture, on a window of 80 columns and the number of rows that the question asks for.
fn scan_in_the_advised_window(shown: &str) -> Option<String> {
    let (_, advice) =
        shown.rsplit_once("needs 80x").expect("the window is too small, and the question says so");
    let rows: String = advice.chars().take_while(char::is_ascii_digit).collect();
    scan_off(shown, Background::Dark, &format!("80x{rows}"))
}

#[test]
fn a_user_enrols_from_the_picture_in_plink_whatever_the_window() {
    let sandbox = host();
    let _sshd = sandbox.start_sshd("");
    let fingerprint =
        sandbox.run(&["ssh-keygen", "-l", "-f", "/etc/ssh/tests_host_key.pub"]).success().stdout;
    let fingerprint = fingerprint.split(' ').nth(1).unwrap();
    let argv = ["plink", "-ssh", "-hostkey", fingerprint, "alice@localhost", "echo", "logged", "in"];
    let mut client = sandbox.pty_unrecorded(&argv);
    client.at_the_picture();
    let shown = client.transcript();
    assert!(shown.contains("\n| "), "plink marks what comes from the server: {shown}");
    let uri = scan_off(&shown, Background::Dark, "80x24").expect("it can be scanned");
    assert_eq!(scan_off(&shown, Background::Dark, "120x40").as_ref(), Some(&uri));
    client.send("a");
    client.expect(CHOICES);
    assert_eq!(scan_in_the_advised_window(&client.transcript()).as_ref(), Some(&uri), "the ASCII picture");
    enrols(&sandbox, &mut client, &uri);
    client.expect("Press Return to begin session");
    client.send("");
    client.expect(INSIDE);
    client.success();
}

#[test]
fn a_user_enrols_from_the_ascii_picture_in_dbclient_which_drops_all_else() {
    let sandbox = host();
    let _sshd = sandbox.start_sshd("");
    let mut client = sandbox.pty_unrecorded(&["dbclient", "-y", "alice@localhost", "echo", "logged", "in"]);
    client.at_the_picture();
    assert!(!client.transcript().contains('█'));
    client.send("a");
    client.expect(CHOICES);
    let uri = scan_in_the_advised_window(&client.transcript()).expect("it can be scanned");
    enrols(&sandbox, &mut client, &uri);
    client.expect(INSIDE);
    client.success();
}

#[test]
fn in_a_plain_locale_the_ascii_picture_fits_80_columns() {
    let sandbox = host();
    let _sshd = sandbox.start_sshd("");
    let options = ["PubkeyAuthentication=no"];
    let mut client = sandbox.ssh_to_enrol(&["env", "LC_ALL=C"], "alice", &options, "echo logged in");
    client.at_the_picture();
    client.send("a");
    client.expect(CHOICES);
    let uri = scan_in_the_advised_window(&client.transcript()).expect("it can be scanned");
    enrols(&sandbox, &mut client, &uri);
    client.expect(INSIDE);
    client.success();
}

#[test]
fn a_vte_terminal_shows_the_pictures_of_a_login_and_of_the_command() {
    let sandbox = host();
    let scan = |shown: &str, background| scan_in(Terminal::Vte, shown, background, "80x24");
    let (pty, _, uri) = sandbox.start_enrolment("alice", &["--qr", "utf8"]);
    for background in [Background::Dark, Background::Light] {
        assert_eq!(scan(&pty.transcript(), background).as_ref(), Some(&uri), "{background:?}");
    }
    drop(pty);
    let _sshd = sandbox.start_sshd("");
    let mut client = sandbox.ssh_to_enrol(&[], "alice", &["PubkeyAuthentication=no"], "echo logged in");
    client.at_the_picture();
    let uri = scan(&client.transcript(), Background::Dark).expect("it can be scanned");
    client.send("i");
    client.expect(CHOICES);
    assert_eq!(scan(&client.transcript(), Background::Light).as_ref(), Some(&uri));
    enrols(&sandbox, &mut client, &uri);
    client.expect(INSIDE);
}

/// The output of `qrtotp enroll` on a console of 80 by 42, and the URI.
fn on_the_console(sandbox: &Sandbox, qr: &str) -> (String, String) {
    let console = "stty columns 80 rows 42; exec env TERM=linux LC_ALL=C.UTF-8 \"$@\"";
    let (pty, phone, _) = sandbox.start_enrolment_with(&["sh", "-c", console, "sh"], "alice", &["--qr", qr]);
    let uri = uri_of("alice", &phone.key) + "&issuer=Tests";
    (pty.transcript(), uri)
}

#[test]
fn the_picture_on_the_linux_console_can_be_scanned_in_every_font_of_console_setup() {
    let sandbox = Sandbox::new();
    sandbox.add_user("alice");
    let (blocks, ascii) = (on_the_console(&sandbox, "auto"), on_the_console(&sandbox, "ascii"));
    assert!(blocks.0.contains("██") && !blocks.0.contains('▀'), "{}", blocks.0);
    let all = fonts();
    assert!(all.len() > 400, "{} fonts", all.len());
    let (with, without): (Vec<Font>, Vec<Font>) = all.into_iter().partition(|font| font.glyph('█').is_some());
    // Only these lack it. Their users type `a`.
    assert!(without.iter().all(|font| font.name.starts_with("Ethiopian-Goha")), "{:?}", without[0].name);
    // Fonts with the same glyph for it.
    let alike = |fonts: Vec<Font>, c: char| -> BTreeMap<_, Font> {
        let key =
            |font: &Font| (font.width, font.height, [c, ' '].map(|c| font.glyph(c).map(<[u8]>::to_vec)));
        fonts.into_iter().map(|font| (key(&font), font)).collect()
    };
    let mut unread = Vec::new();
    for ((shown, uri), fonts) in [(blocks, alike(with, '█')), (ascii, alike(without, '@'))] {
        assert!(fonts.len() > 1);
        for font in fonts.values() {
            // Modules are two columns wide. In a font of 8 by 8 they are not square, which OpenCV can't read.
            let square = font.height > font.width;
            for reading in decoders::read_png(&font.draw(&shown)) {
                if reading.text.as_ref() != Some(&uri) && (square || !reading.decoder.starts_with("OpenCV")) {
                    unread.push(format!(
                        "{} in {} ({}x{})",
                        reading.decoder, font.name, font.width, font.height
                    ));
                }
            }
        }
    }
    assert!(unread.is_empty(), "{unread:#?}");
}
