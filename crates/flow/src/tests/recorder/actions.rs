//! The recorded actions: each starts with an empty directory and reports its claims as they become true.

use super::*;
use qrtotp_policy::FirstLogin;
use qrtotp_store::Store;
use qrtotp_values::ConfigDuration;
use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;

pub(super) const TEST: &str = "tests::recorder::actions::every_action_that_is_recorded_can_be_done";
/// The variables that choose the action and its directory.
pub(super) const PLAY: &str = "QRTOTP_RECORDER_ACTION";
pub(super) const PLACE: &str = "QRTOTP_RECORDER_PLACE";
/// The directory with the whole disk, inside.
pub(super) const HOST: &str = "host";
/// Prefix of the files beside it with the reports.
pub(super) const REPORT: &str = "report";
/// The word for an audit line of the account's chain that was logged.
pub(super) const LOGGED: &str = "logged";

pub(super) struct Action {
    pub name: &'static str,
    play: fn(&Rc<Reporter>),
}

pub(super) const ACTIONS: [Action; 16] = [
    Action { name: "two logins", play: log_in },
    Action { name: "login with a recovery code", play: recover },
    Action { name: "enrolment by root", play: enroll },
    Action { name: "use of a token", play: use_token },
    Action { name: "enrolment broken off", play: break_off },
    Action { name: "revocation", play: take_away },
    Action { name: "revocation of a token", play: take_token },
    Action { name: "change of a name", play: change_name },
    Action { name: "change of a uid", play: change_uid },
    Action { name: "removal of an account", play: remove },
    Action { name: "import that makes key and store", play: make_store },
    Action { name: "unlocking", play: lift },
    Action { name: "forgetting of places", play: forget },
    Action { name: "resynchronisation", play: resynchronise },
    Action { name: "reissue", play: take_and_issue },
    Action { name: "account without devices, and an import", play: add },
];

#[test]
fn every_action_that_is_recorded_can_be_done() {
    if let (Some(name), Some(place)) = (std::env::var_os(PLAY), std::env::var_os(PLACE)) {
        let action = ACTIONS.iter().find(|action| *action.name == *name).unwrap();
        return (action.play)(&Reporter::in_place(Path::new(&place)));
    }
    for action in &ACTIONS {
        let dir = place();
        (action.play)(&Reporter::in_place(dir.path()));
    }
}

/// Reports the claims that hold from now on: lines of a word and its subject. The words: check.rs.
pub(super) struct Reporter {
    place: PathBuf,
    reports: Cell<usize>,
    /// Audit lines that were logged before the first report, as claims.
    before: RefCell<String>,
}

impl Reporter {
    fn in_place(place: &Path) -> Rc<Self> {
        Rc::new(Self { place: place.to_owned(), reports: Cell::default(), before: RefCell::default() })
    }

    /// Reports the lines. On the first call, everything so far is durable.
    fn report(&self, lines: &[(&str, &str)]) {
        let mut text = self.before.take();
        text.extend(lines.iter().map(|(word, about)| format!("{word} {about}\n")));
        std::fs::write(
            self.place.join(format!("{REPORT}.{}", self.reports.replace(self.reports.get() + 1))),
            text,
        )
        .unwrap();
    }

    /// Reports an audit line of the account's chain at the moment when it is logged.
    fn report_logged(&self, line: &str) {
        if !line.contains(" chain=") {
            return;
        }
        if self.reports.get() == 0 {
            self.before.borrow_mut().push_str(&format!("{LOGGED} {line}\n"));
        } else {
            self.report(&[(LOGGED, line)]);
        }
    }

    fn world(self: &Rc<Self>) -> World {
        let (mut world, reporter) = (world(&self.place.join(HOST)), Rc::clone(self));
        world.log.1 = Some(Box::new(move |line| reporter.report_logged(line)));
        world
    }
}

/// The store in a directory, made if it does not exist.
pub(super) fn world(host: &Path) -> World {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new().mode(0o700).recursive(true).create(host).unwrap();
    let path = host.join("state");
    let mut world = World::with(FileStore::open_or_create(&path, host).unwrap(), path);
    world.config = config();
    world
}

pub(super) fn config() -> Config {
    let mut config = Config::default();
    config.defaults.first_login = FirstLogin::Token;
    config.throttle.free_failures = 20;
    config
}

fn imported(reporter: &Rc<Reporter>) -> (World, Secret, String) {
    let mut w = reporter.world();
    let secret = w.import(Params::default());
    let key = base32(&secret);
    (w, secret, key)
}

fn base32(secret: &Secret) -> String {
    qrtotp_otp::base32_encode(secret.as_bytes())
}

fn log_in(reporter: &Rc<Reporter>) {
    let (mut w, secret, key) = imported(reporter);
    reporter.report(&[("store", ""), ("in", &key)]);
    for _ in 0..2 {
        let code = w.code(&secret, 0);
        reporter.report(&[("typed", &code)]);
        assert_eq!(w.answer(&code), Outcome::Accepted);
        reporter.report(&[("spent", &code)]);
        w.pass(30);
    }
}

fn recover(reporter: &Rc<Reporter>) {
    let (mut w, _, key) = imported(reporter);
    let codes = regenerate_recovery(&mut w.ctx("alice"), &World::name()).unwrap();
    reporter.report(&[("store", ""), ("in", &key), ("typed", &codes[4])]);
    assert_eq!(w.answer(&codes[4]), Outcome::Accepted);
    reporter.report(&[("spent", &codes[4])]);
}

fn enroll(reporter: &Rc<Reporter>) {
    let mut w = reporter.world();
    reporter.report(&[("store", "")]);
    confirmed(&mut w, reporter, Authority::Admin(ExistingCode::Required));
}

fn use_token(reporter: &Rc<Reporter>) {
    let mut w = reporter.world();
    issue(&mut w);
    reporter.report(&[("store", "")]);
    confirmed(&mut w, reporter, Authority::PrimaryFactor);
}

fn issue(w: &mut World) {
    let name = World::name();
    let issue = Issue {
        name: &name,
        uid: UID,
        lifetime: ConfigDuration::seconds(86_400),
        max_shows: 9,
        code: None,
        keys: &[],
    };
    issue_token(&mut w.ctx("root"), &issue).unwrap();
}

/// Enrols with the code of the first QR code.
fn confirmed(w: &mut World, reporter: &Rc<Reporter>, authority: Authority) {
    let mut person = Person { reporter: Some(reporter), replies: [Some(())].into(), ..Person::default() };
    enroll_with(w, &mut person, authority).unwrap();
    let key = person.keys.pop().unwrap();
    reporter.report(&[("in", &key), ("spent", &person.typed)]);
}

/// Two QR codes are shown and none is confirmed.
fn break_off(reporter: &Rc<Reporter>) {
    let mut w = reporter.world();
    issue(&mut w);
    reporter.report(&[("store", "")]);
    let mut person = Person { reporter: Some(reporter), replies: [None].into(), ..Person::default() };
    assert!(enroll_with(&mut w, &mut person, Authority::PrimaryFactor).is_err());
    assert_eq!(person.keys.len(), 2);
}

fn take_away(reporter: &Rc<Reporter>) {
    let (mut w, _, key) = imported(reporter);
    reporter.report(&[("store", ""), ("in", &key)]);
    reporter.report(&[("either", &key)]);
    revoke(&mut w.ctx("alice"), &World::name(), Selection::All).unwrap();
    reporter.report(&[("out", &key)]);
}

fn take_token(reporter: &Rc<Reporter>) {
    let mut w = reporter.world();
    issue(&mut w);
    let mut person = Person::default();
    assert!(enroll_with(&mut w, &mut person, Authority::PrimaryFactor).is_err());
    let key = person.keys.pop().unwrap();
    reporter.report(&[("store", ""), ("out", &key)]);
    revoke_token(&mut w.ctx("root"), &World::name()).unwrap();
    reporter.report(&[("dead", &key)]);
}

fn change_name(reporter: &Rc<Reporter>) {
    let (mut w, secret, key) = imported(reporter);
    let code = w.code(&secret, 0);
    assert_eq!(w.answer(&code), Outcome::Accepted);
    reporter.report(&[("store", ""), ("in", &key), ("spent", &code)]);
    let (old, new) = (World::name(), Name::new("bob").unwrap());
    w.rename_account("bob", &old, None, (&new, 5000)).unwrap();
    reporter.report(&[("moved", &key)]);
}

/// To another uid and back, because a login of the checker needs the first one.
fn change_uid(reporter: &Rc<Reporter>) {
    let (mut w, secret, key) = imported(reporter);
    let code = w.code(&secret, 0);
    assert_eq!(w.answer(&code), Outcome::Accepted);
    let name = World::name();
    w.adopt_uid("alice", &name, UID + 1).unwrap();
    reporter.report(&[("store", ""), ("either", &key), ("spent", &code)]);
    w.adopt_uid("alice", &name, UID).unwrap();
    reporter.report(&[("in", &key)]);
}

fn remove(reporter: &Rc<Reporter>) {
    let (mut w, _, key) = imported(reporter);
    reporter.report(&[("store", ""), ("either", &key), ("leaving", "alice")]);
    w.remove_account("alice", &World::name()).unwrap();
    reporter.report(&[("out", &key)]);
}

fn lift(reporter: &Rc<Reporter>) {
    let (mut w, secret, key) = imported(reporter);
    let code = w.code(&secret, 0);
    assert_eq!(w.answer(&code), Outcome::Accepted);
    assert_ne!(w.answer(&w.code(&secret, 1000)), Outcome::Accepted);
    reporter.report(&[("store", ""), ("in", &key), ("spent", &code)]);
    assert_eq!(w.unlock("root", &World::name()).unwrap(), 1);
}

fn forget(reporter: &Rc<Reporter>) {
    let (mut w, secret, key) = imported(reporter);
    let code = w.code(&secret, 0);
    let subject = Subject { rhost: "198.51.100.7".into(), ..World::subject("alice") };
    assert_eq!(w.login_of(subject, &Options::default(), &mut Human::says([say(&code)])), Outcome::Accepted);
    reporter.report(&[("store", ""), ("in", &key), ("spent", &code)]);
    assert_eq!(forget_places(&mut w.ctx("root"), &World::name(), None).unwrap(), 1);
}

fn resynchronise(reporter: &Rc<Reporter>) {
    let (mut w, secret, key) = imported(reporter);
    let codes = [w.code(&secret, -9), w.code(&secret, -8)];
    reporter.report(&[("store", ""), ("either", &key), ("typed", &codes[0]), ("typed", &codes[1])]);
    let (mut human, name) = (Human::says([say(&codes[0]), say(&codes[1])]), World::name());
    let (mut ctx, uid) = (w.ctx("alice"), UID);
    SelfService { ctx: &mut ctx, name: &name, uid, dialog: &mut human }.resync().unwrap();
    reporter.report(&[("spent", &codes[0]), ("spent", &codes[1])]);
}

fn take_and_issue(reporter: &Rc<Reporter>) {
    let (mut w, _, key) = imported(reporter);
    reporter.report(&[("store", ""), ("in", &key)]);
    reporter.report(&[("either", &key)]);
    let name = World::name();
    let devices: Vec<_> = w.store.load(&name).unwrap().unwrap().record.ids().collect();
    let lifetime = ConfigDuration::seconds(86_400);
    let issue = Issue { name: &name, uid: UID, lifetime, max_shows: 9, code: Some(lifetime), keys: &[] };
    reissue(&mut w.ctx("root"), &issue, &devices).unwrap();
    reporter.report(&[("out", &key)]);
}

fn add(reporter: &Rc<Reporter>) {
    let mut w = reporter.world();
    reporter.report(&[("store", "")]);
    add_account(&mut w.ctx("root"), &World::name(), UID).unwrap();
    let secret = Secret::generate().unwrap();
    let key = base32(&secret);
    reporter.report(&[("either", &key)]);
    w.keep(&World::to_import(&secret)).unwrap();
    reporter.report(&[("in", &key)]);
}

fn make_store(reporter: &Rc<Reporter>) {
    let secret = Secret::generate().unwrap();
    let key = base32(&secret);
    reporter.report(&[("either", &key)]);
    let mut w = reporter.world();
    w.import_secret(secret, Params::default());
    reporter.report(&[("store", ""), ("in", &key)]);
}

/// A user who scans the QR codes and reports them.
#[derive(Default)]
pub(super) struct Person<'a> {
    pub reporter: Option<&'a Reporter>,
    /// The reply to each QR code: its code (or `code`), or a request for another one. Then the line drops.
    pub replies: VecDeque<Option<()>>,
    /// Typed instead of the right code.
    pub code: Option<String>,
    pub keys: Vec<String>,
    pub typed: String,
}

impl Dialog for Person<'_> {
    fn show_text(&mut self, _: &str) {}
    fn ask_text(&mut self, _: &str, _: Echo) -> Result<Typed, NoAnswer> {
        Err(NoAnswer)
    }
}

impl EnrollDialog for Person<'_> {
    fn first_code(&mut self, scanned: QrState<'_>, note: Option<&Message>) -> Result<Reply, NoAnswer> {
        let mut code = self.code.clone();
        if let (QrState::Now(offer), None) = (scanned, note) {
            let uri = KeyUri::parse(&offer.uri, Strength::Normal).unwrap();
            let key = base32(&uri.secret);
            if let Some(reporter) = self.reporter {
                let old = self.keys.iter().map(|key| ("dead", key.as_str()));
                reporter.report(&old.chain([("out", key.as_str())]).collect::<Vec<_>>());
            }
            self.keys.push(key);
            code = code.or_else(|| {
                Some(code_at(&uri.secret, uri.params, uri.params.step_at(START)).as_str().to_owned())
            });
        }
        match self.replies.pop_front() {
            None => Err(NoAnswer),
            Some(None) => Ok(Reply::Fresh),
            Some(Some(())) => {
                self.typed = code.ok_or(NoAnswer)?;
                if let (Some(reporter), Some(key)) = (self.reporter, self.keys.last()) {
                    reporter.report(&[("either", key), ("typed", &self.typed)]);
                }
                Ok(Reply::Code(Typed::new(self.typed.clone().into_bytes())))
            }
        }
    }

    fn recovery_codes(
        &mut self,
        _: &[Zeroizing<String>],
        _: Option<&Message>,
    ) -> Result<CodesDelivery, NoAnswer> {
        Ok(CodesDelivery::Shown)
    }
}

pub(super) fn enroll_with(
    w: &mut World,
    person: &mut Person<'_>,
    authority: Authority,
) -> Result<Enrolled, EnrollError> {
    let (name, label) = (World::name(), Label::new("phone"));
    let request = EnrolmentRequest { name: &name, uid: UID, label: &label, authority, host: "host" };
    super::super::enroll(&mut w.ctx("alice"), person, request)
}
