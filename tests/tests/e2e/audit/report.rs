//! The page that `qrtotp audit report` writes about real logins.

use qrtotp_tests::{
    Sandbox,
    host::{PAM_AUTH_ERR, PAM_SUCCESS},
};
use std::{
    path::PathBuf,
    process::{Command, Stdio},
};

/// A host after a refused and an accepted login, with a forged hostile user name in its log, which is
/// /tmp/auth.log.
fn host_with_a_log() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.stack("");
    sandbox.add_user("alice");
    let phone = sandbox.import("alice");
    assert_eq!(sandbox.answer("alice", &phone.wrong_code()), PAM_AUTH_ERR);
    assert_eq!(sandbox.answer("alice", &phone.code()), PAM_SUCCESS);
    let hostile =
        "event=login result=denied reason=throttled user=\"<script>alert(1)</script>\" service=\"a&b\"";
    let mut log = String::new();
    for line in sandbox.log.events().iter().map(String::as_str).chain([hostile]) {
        // Only numbered lines have their own time; the others take the log's.
        let at = line.split(" at=").nth(1).and_then(|rest| rest.split(' ').next()).unwrap_or("now");
        let at = if at == "now" { at.to_owned() } else { format!("@{at}") };
        let stamp = sandbox.run(&["date", "-u", "-d", &at, "+%FT%TZ"]).success().stdout;
        log.push_str(&format!("{} host su[1]: pam_qrtotp(su:auth): {line}\n", stamp.trim()));
    }
    sandbox.overwrite("/tmp/auth.log", &log);
    sandbox
}

fn page(sandbox: &Sandbox, more: &[&str]) -> String {
    let base = ["qrtotp", "audit", "report", "--html", "/tmp/page.html", "--file", "/tmp/auth.log"];
    let _ = sandbox.run(&[&base, more].concat()).success();
    sandbox.read("/tmp/page.html")
}

#[test]
fn the_page_tells_of_real_logins_and_a_hostile_name_is_text() {
    let sandbox = host_with_a_log();
    let whole = page(&sandbox, &[]);
    for part in [
        "Nothing in the log was changed",
        "<b>1</b>logins accepted",
        "<b>2</b>logins denied",
        "<td>alice</td>",
        "wrong_code",
        "credential imported",
        "&lt;script&gt;alert(1)&lt;/script&gt;",
        "a&amp;b",
    ] {
        assert!(whole.contains(part), "{part}\n{whole}");
    }
    assert!(!whole.contains("<script"), "{whole}");
    let mode = sandbox.run(&["stat", "--format=%a", "/tmp/page.html"]).success().stdout;
    assert_eq!(mode, "600\n");
    let without_names = page(&sandbox, &["--pseudonyms"]);
    assert!(without_names.contains("account 1") && !without_names.contains("alice"), "{without_names}");
}

#[test]
fn the_page_says_that_a_line_was_changed() {
    let sandbox = host_with_a_log();
    let log = sandbox.read("/tmp/auth.log");
    sandbox.overwrite(
        "/tmp/auth.log",
        &log.replace("result=denied reason=wrong", "result=accepted reason=wrong"),
    );
    let report = ["qrtotp", "audit", "report", "--html", "-", "--file", "/tmp/auth.log"];
    let said = sandbox.run(&report);
    assert_eq!(said.status.code(), Some(1), "{}", said.stdout);
    let row = "<tr><td>alice</td><td class=\"number\">2</td><td>CHANGED";
    assert!(said.stdout.contains(row) && said.stdout.contains("1 lines were changed"), "{}", said.stdout);
}

/// The picture's distinct colours, as ImageMagick names them.
fn colours(picture: &std::path::Path) -> String {
    let mut convert = Command::new("convert");
    let said =
        convert.arg(picture).args(["-format", "%c", "-depth", "8", "histogram:info:-"]).output().unwrap();
    String::from_utf8(said.stdout).unwrap().to_lowercase()
}

/// A directory of a page, in which Chromium works.
struct Drawn(PathBuf);

impl Drawn {
    fn of(page: &str, name: &str) -> Self {
        // Chromium treats files below /proc, where the sandbox's files are, as text.
        let directory = std::env::temp_dir().join(format!("qrtotp-{name}-{}", std::process::id()));
        std::fs::create_dir(&directory).unwrap();
        std::fs::write(directory.join("page.html"), page).unwrap();
        Self(directory)
    }

    /// Has Chromium write a file: `how` is its option for that.
    fn chromium(&self, how: &str, file: &str, more: &[&str]) -> PathBuf {
        let [html, profile, file] = ["page.html", "profile", file].map(|name| self.0.join(name));
        let mut chromium = Command::new("chromium");
        chromium.args(["--headless", "--no-sandbox", "--disable-gpu", "--window-size=1000,3000"]).args(more);
        chromium.arg(format!("{how}={}", file.display()));
        chromium.arg(format!("--user-data-dir={}", profile.display())).arg(html);
        assert!(chromium.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap().success());
        file
    }
}

impl Drop for Drawn {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
#[ignore = "`cargo xtask proof report` installs Chromium"]
fn chromium_draws_the_page_in_light_and_dark() {
    let page = Drawn::of(&page(&host_with_a_log(), &[]), "drawn");
    let light = page.chromium("--screenshot", "light.png", &[]);
    let dark = page.chromium("--screenshot", "dark.png", &["--blink-settings=preferredColorScheme=0"]);
    for (picture, paper, text, bar) in
        [(light, "#ffffff", "#1b1b1f", "#1c6b45"), (dark, "#14161a", "#e9e9ee", "#6fcf97")]
    {
        let drawn = colours(&picture);
        assert!([paper, text, bar].iter().all(|colour| drawn.contains(colour)), "{drawn}");
    }
}

/// The page's texts that are shown, without white space.
fn texts_of(page: &str) -> Vec<String> {
    let body = page.split_once("</head>").unwrap().1;
    // The numbers behind the plots are for readers of the screen.
    let printed = body.split("<details").map(|part| part.rsplit("</details>").next().unwrap());
    let pieces = printed
        .flat_map(|part| part.split('<'))
        .filter(|piece| !piece.starts_with("title") && !piece.starts_with("desc"));
    let text = |piece: &str| {
        let text =
            piece.split_once('>').map_or(piece, |(_, text)| text).replace("&lt;", "<").replace("&gt;", ">");
        text.replace("&quot;", "\"")
            .replace("&#39;", "'")
            .replace("&amp;", "&")
            .split_whitespace()
            .collect::<String>()
    };
    pieces.map(text).filter(|text| !text.is_empty()).collect()
}

#[test]
#[ignore = "`cargo xtask proof report` installs Chromium and pdftotext"]
fn what_chromium_prints_has_each_text_of_the_page_and_nothing_is_cut() {
    let (sandbox, long) = (host_with_a_log(), "w".repeat(200));
    let event =
        format!("event=login result=denied reason=throttled user=x{long} service=y{long} rhost=z{long}");
    let line = format!("2026-11-29T10:00:00Z host su[1]: pam_qrtotp(su:auth): {event}\n");
    sandbox.overwrite("/tmp/auth.log", &(sandbox.read("/tmp/auth.log") + &line));
    let html = page(&sandbox, &[]);
    let page = Drawn::of(&html, "printed");
    let print = page.chromium("--print-to-pdf", "page.pdf", &[]);
    let read = |how: &str| {
        let said = Command::new("pdftotext").arg(how).arg(&print).arg("-").output().unwrap();
        String::from_utf8(said.stdout).unwrap()
    };
    let (text, boxes) = (read("-raw"), read("-bbox"));
    let pages = text.matches('\u{c}').count();
    let text: String = text.split_whitespace().collect();
    let missing: Vec<String> = texts_of(&html).into_iter().filter(|one| !text.contains(one)).collect();
    assert!(missing.is_empty() && (2..=5).contains(&pages), "{pages} pages lack {missing:?}: {text}");
    let numbers = |key: &str| {
        let key = format!(" {key}=\"");
        let values = boxes.split(&key).skip(1).filter_map(|rest| rest.split('"').next());
        values.map(|value| value.parse::<f64>().unwrap()).collect::<Vec<_>>()
    };
    let (width, left, right) = (numbers("width")[0], numbers("xMin"), numbers("xMax"));
    assert!(left.len() > 100 && left.iter().all(|x| *x > 10.0), "{left:?}");
    assert!(right.iter().all(|x| *x < width - 10.0), "{width}: {right:?}");
}
