//! docs/SERVICES.md: each service's blocks, verbatim, with Debian's program.

use std::time::Duration;

use qrtotp_tests::{
    Output, Phone, Sandbox, artefacts,
    broker::Broker,
    clock,
    openssh::{NEWEST, System},
    recipes::Recipe,
    users::PASSWORD,
};

/// How long a server may take to start.
const PATIENCE: Duration = Duration::from_secs(20);

/// A host with the blocks of one section.
struct Host {
    sandbox: Sandbox,
    phone: Phone,
    _broker: Broker,
    recipe: Recipe,
}

impl Host {
    /// alice has a device, mallory has none. Writes those blocks that are whole files.
    fn with(section: &str) -> Self {
        Self::on(Sandbox::new(), section)
    }

    /// On Debian 13, for programs that this machine can't install beside others; `None` if it could not be
    /// unpacked.
    fn on_debian_13(section: &str) -> Option<Self> {
        (!artefacts::is_missing(NEWEST)).then(|| Self::on(System::debian(NEWEST).sandbox(None), section))
    }

    fn on(sandbox: Sandbox, section: &str) -> Self {
        let recipe = Recipe::of(section);
        sandbox.prepare_broker("");
        let phone = sandbox.import("alice");
        recipe.write(&sandbox);
        Self { _broker: sandbox.start_broker(), sandbox, phone, recipe }
    }

    /// Starts a server, which ends with the sandbox, and waits until it accepts connections.
    fn serve(&self, command: &str, port: u16) {
        self.sandbox.run(&["sh", "-c", &format!("{command} </dev/null >/dev/null 2>&1 &")]).success();
        let connect = format!("</dev/tcp/localhost/{port}");
        let is_up = || self.sandbox.run(&["bash", "-c", &connect]).status.success().then_some(());
        clock::poll(PATIENCE, is_up).expect("the server does not start");
    }

    /// The decisions that every host must make on the typed text.
    fn judges(&self, login: impl Fn(&Sandbox, &str, &str) -> Output) {
        self.phone.wait_for_seconds_left(8);
        let (code, wrong) = (self.phone.code(), self.phone.wrong_code());
        for (user, text, accepted, what) in [
            ("alice", format!("{PASSWORD}{wrong}"), false, "a wrong code"),
            ("alice", format!("{PASSWORD}{code}"), true, "password and code"),
            ("alice", format!("{PASSWORD}{code}"), false, "a used code"),
            ("mallory", format!("{PASSWORD}{code}"), false, "an account without a device"),
        ] {
            let output = login(&self.sandbox, user, &text);
            assert_eq!(output.status.success(), accepted, "{what}: {output:?}");
        }
        self.sandbox.keep_secret(&code);
        for reason in [
            "denied reason=wrong_code",
            "accepted reason=code",
            "denied reason=replayed_code",
            "denied reason=not_enrolled",
        ] {
            let _ = self.sandbox.log.wait(&[&format!("event=login result={reason}")]);
        }
    }

    /// Fifty concurrent logins with one code, of which one must get in. `login` is a shell command with
    /// bobby's text in `$0`.
    fn judges_fifty(&self, login: &str) {
        self.sandbox.add_user("bobby");
        let phone = self.sandbox.import("bobby");
        let all = format!("for i in $(seq 50); do ({login} && echo inside) 2>&1 & done; wait");
        let text = format!("{PASSWORD}{}", phone.code());
        let all = self.sandbox.run(&["sh", "-c", &all, &text]).stdout;
        assert_eq!(all.matches("inside").count(), 1, "{all}");
    }
}

/// `curl` with a user name and a password.
fn curl(url: &'static str) -> impl Fn(&Sandbox, &str, &str) -> Output {
    move |sandbox, user, text| {
        sandbox.run(&["curl", "-sSf", "-m", "20", "-u", &format!("{user}:{text}"), url])
    }
}

#[test]
fn postgresql() {
    let host = Host::with("PostgreSQL");
    let sandbox = &host.sandbox;
    let version = sandbox.run(&["ls", "/etc/postgresql"]).success().stdout.trim().to_owned();
    let rules =
        format!("local all postgres peer\n{}", host.recipe.block("/etc/postgresql/15/main/pg_hba.conf"));
    sandbox.overwrite(&format!("/etc/postgresql/{version}/main/pg_hba.conf"), &rules);
    sandbox.run(&["install", "-d", "-o", "postgres", "/run/postgresql"]).success();
    host.serve(&format!("pg_ctlcluster {version} main start"), 5432);
    let roles = "create role alice login; create role bobby login; create role mallory login";
    sandbox.run_as("postgres", &["psql", "-qc", roles]).success();
    host.judges(|sandbox, user, text| {
        let address = format!("host=localhost dbname=postgres user={user} password='{text}'");
        sandbox.run(&["psql", &address, "-c", "select 1"])
    });
    host.judges_fifty("psql \"host=localhost dbname=postgres user=bobby password='$0'\" -c 'select 1'");
}

#[test]
fn apache() {
    let host = Host::with("Apache");
    host.sandbox.run(&["install", "-D", "/etc/hostname", "/var/www/html/private/index.html"]).success();
    host.serve("apache2ctl start", 80);
    host.judges(curl("http://localhost/private/"));
    host.judges_fifty("curl -sf -m 20 -u \"bobby:$0\" http://localhost/private/");
}

#[test]
fn services_of_several_recipes_stand_in_one_table() {
    let host = Host::with("nginx");
    Recipe::of("Apache").write(&host.sandbox);
    Recipe::of("Servers with one field").write(&host.sandbox);
    // Both servers' first site is at port 80.
    let prepare = "mkdir -p /var/www/html/private; cp /etc/hostname /var/www/html/private/index.html; \
                   rm -f /etc/nginx/sites-enabled/default";
    host.sandbox.run(&["sh", "-ec", prepare]).success();
    host.serve("nginx", 8080);
    host.serve("apache2ctl start", 80);
    host.judges(curl("http://localhost/private/"));
    let next = format!("{PASSWORD}{}", host.phone.wait_for_next_code());
    let page = "http://localhost:8080/private/index.html";
    assert!(curl(page)(&host.sandbox, "alice", &next).status.success(), "nginx");
    let twice = host.recipe.block("/etc/qrtotp/qrtotp.toml").repeat(2);
    host.sandbox.edit_configuration(&twice);
    let refused = host.sandbox.run(&["qrtotp", "config", "check"]).exited(2);
    assert!(refused.stderr.contains("duplicate key"), "{refused:?}");
}

#[test]
fn a_recipe_that_changes_a_servers_own_file_says_how_to_restart_it() {
    let document = std::fs::read_to_string(artefacts::sources().join("../docs/SERVICES.md")).unwrap();
    let sections = document.split("\n## Servers with one field\n").nth(1).unwrap().split("\n## ").skip(1);
    let own = |line: &&str| {
        line.starts_with("`/etc/") && !line.starts_with("`/etc/pam.d/") && !line.starts_with("`/etc/qrtotp/")
    };
    let of_servers: Vec<&str> = sections.filter(|section| section.lines().any(|line| own(&line))).collect();
    assert!(of_servers.len() >= 8, "{of_servers:?}");
    for section in of_servers {
        assert!(section.contains("systemctl restart") || section.contains("systemctl reload"), "{section}");
    }
}

#[test]
fn vsftpd() {
    let host = Host::with("vsftpd");
    host.sandbox.run(&["mkdir", "-p", "/run/vsftpd/empty"]).success();
    host.serve("vsftpd", 21);
    host.judges(curl("ftp://localhost/"));
    // Debian's other lines still hold.
    let sandbox = &host.sandbox;
    for (user, line) in [("bobby", "echo bobby >>/etc/ftpusers"), ("carol", "usermod -s /bin/false carol")] {
        sandbox.add_user(user);
        let phone = sandbox.import(user);
        sandbox.run(&["sh", "-c", line]).success();
        let login = curl("ftp://localhost/")(sandbox, user, &format!("{PASSWORD}{}", phone.code()));
        assert!(!login.status.success(), "{line}: {login:?}");
        let _ = sandbox.log.wait(&["event=login result=accepted", &format!("user={user}")]);
    }
}

#[test]
fn proftpd() {
    let Some(host) = Host::on_debian_13("ProFTPD") else { return };
    host.serve("proftpd", 21);
    host.judges(curl("ftp://localhost/"));
    let password_alone = curl("ftp://localhost/")(&host.sandbox, "alice", PASSWORD);
    assert!(!password_alone.status.success(), "ProFTPD's own module lets in");
}

#[test]
fn xrdp() {
    let Some(host) = Host::on_debian_13("xrdp") else { return };
    let sandbox = &host.sandbox;
    // Replaces an X server; a user who gets this far has logged in.
    sandbox.overwrite("/usr/local/bin/Xvnc", "#!/bin/sh\ntouch /tmp/session\n");
    let start = "chmod 755 /usr/local/bin/Xvnc; mkdir /run/xrdp; sed -i s/^MaxLoginRetry=.*/MaxLoginRetry=0/ /etc/xrdp/sesman.ini; \
                 xrdp-sesman";
    sandbox.run(&["sh", "-ec", start]).success();
    let listens = || sandbox.exists("/run/xrdp/sockdir/sesman.socket").then_some(());
    clock::poll(PATIENCE, listens).expect("xrdp-sesman does not start");
    host.judges(|sandbox, user, text| {
        let login = "rm -f /tmp/session; timeout 3 xrdp-sesrun -t Xvnc -F 0 \"$0\"; test -e /tmp/session";
        sandbox.run_with_input(&["sh", "-c", login, user], text)
    });
}

#[test]
fn dovecot() {
    let host = Host::with("dovecot");
    host.serve("dovecot", 143);
    host.judges(curl("imap://localhost/"));
    host.judges_fifty("curl -sf -m 60 -u \"bobby:$0\" imap://localhost/");
}

#[test]
fn every_argument_of_the_other_modules_is_in_the_table() {
    let table = std::fs::read_to_string(artefacts::sources().join("../docs/MIGRATING.md")).unwrap();
    let modules = Sandbox::new().security_directory().to_owned();
    for (module, arguments) in [
        (
            "pam_google_authenticator",
            "secret= authtok_prompt= user= allowed_perm= no_strict_owner debug try_first_pass use_first_pass forward_pass \
             noskewadj no_increment_hotp nullok allow_readonly echo_verification_code grace_period=",
        ),
        ("pam_oath", "debug alwaysok try_first_pass use_first_pass usersfile= digits= window="),
    ] {
        let program = std::fs::read(format!("{modules}/{module}.so")).unwrap();
        let program = String::from_utf8_lossy(&program);
        let rows = table.split(&format!("| {module} | here |")).nth(1).unwrap().split("\n\n").next().unwrap();
        for argument in arguments.split_whitespace() {
            assert!(program.contains(argument), "{module} has no {argument}");
            assert!(rows.contains(&format!("`{argument}")), "{argument} of {module} is not in the table");
        }
    }
}

#[test]
fn nginx() {
    let host = Host::with("nginx");
    host.sandbox.run(&["install", "-D", "/etc/hostname", "/var/www/html/private/page"]).success();
    host.serve("nginx", 8080);
    host.judges(curl("http://localhost:8080/private/page"));
    host.judges_fifty("curl -sf -m 20 -u \"bobby:$0\" http://localhost:8080/private/page");
}

#[test]
fn freeradius() {
    let host = Host::with("FreeRADIUS");
    host.sandbox.run(&["sh", "-ec", &host.recipe.commands()]).success();
    let users = "/etc/freeradius/3.0/mods-config/files/authorize";
    host.sandbox.overwrite(users, &format!("{}{}", host.recipe.block(users), host.sandbox.read(users)));
    host.sandbox.run(&["install", "-d", "-o", "freerad", "/run/freeradius"]).success();
    host.sandbox.run(&["freeradius"]).success();
    host.judges(|sandbox, user, text| sandbox.run(&["radtest", user, text, "127.0.0.1", "0", "testing123"]));
    host.judges_fifty("radtest bobby \"$0\" 127.0.0.1 0 testing123");
}

#[test]
fn saslauthd() {
    let host = Host::with("saslauthd");
    let settings = "/etc/default/saslauthd";
    host.sandbox.append(settings, &host.recipe.block(settings));
    host.sandbox.run(&["mkdir", "/run/saslauthd"]).success();
    host.sandbox
        .run(&["sh", "-ec", ". /etc/default/saslauthd; saslauthd -a $MECHANISMS $OPTIONS -n $THREADS"])
        .success();
    host.judges(|sandbox, user, text| {
        sandbox.run(&["sh", "-c", "testsaslauthd -s smtp -u \"$0\" -p \"$1\" | grep '^0: OK'", user, text])
    });
    host.judges_fifty("testsaslauthd -s smtp -u bobby -p \"$0\" | grep '^0: OK'");
    host.sandbox.ship("pam.d/one-field", "/etc/pam.d/imap");
    host.sandbox.ship("pam.d/qrtotp", "/etc/pam.d/qrtotp");
    host.sandbox.add_user("carol");
    let text = format!("{PASSWORD}{}", host.sandbox.import("carol").code());
    let ask = "testsaslauthd -s $0 -u carol -p \"$1\" | grep '^0: OK'";
    for (protocol, text, accepted, what) in [
        ("imap", PASSWORD, false, "the password alone"),
        ("imap", text.as_str(), true, "password and code"),
        ("ldap", PASSWORD, true, "no file, so that Debian's `other` decides"),
        ("qrtotp", PASSWORD, false, "the client names the service in which we prove passwords"),
    ] {
        let output = host.sandbox.run(&["sh", "-c", ask, protocol, text]);
        assert_eq!(output.status.success(), accepted, "{what}: {output:?}");
    }
}

/// A host with a running OpenVPN server, and its client's configuration except for the end.
fn vpn(section: &str) -> Host {
    let host = Host::with(section);
    let sandbox = &host.sandbox;
    let server = "dev tun\nserver 10.8.0.0 255.255.255.0\nlocal 127.0.0.1\nca /tmp/cert\ncert /tmp/cert\nkey /tmp/key\ndh none\n\
                  verify-client-cert none\n";
    let client = "client\ndev tun\nremote 127.0.0.1\nca /tmp/cert\nnobind\nifconfig-noexec\nroute-noexec\nscript-security 2\n\
                  route-up /tmp/up\n";
    sandbox.overwrite(
        "/etc/openvpn/server/server.conf",
        &format!("{server}{}", host.recipe.block("/etc/openvpn/server/server.conf")),
    );
    sandbox.overwrite("/tmp/client.conf", &format!("{client}{}", host.recipe.block("client.conf")));
    sandbox.overwrite("/tmp/up", "#!/bin/sh\ntouch /tmp/connected\nkill $PPID\n");
    let prepare = "mkdir -p /dev/net; mknod /dev/net/tun c 10 200; chmod 755 /tmp/up; openssl req -x509 -newkey ec \
                   -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=vpn -keyout /tmp/key -out /tmp/cert 2>/dev/null";
    sandbox.run(&["sh", "-ec", prepare]).success();
    sandbox.run(&["openvpn", "--config", "/etc/openvpn/server/server.conf", "--daemon"]).success();
    host
}

#[test]
fn openvpn() {
    vpn("OpenVPN").judges(|sandbox, user, text| {
        sandbox.overwrite("/tmp/typed", &format!("{user}\n{text}\n"));
        let connect = "rm -f /tmp/connected; timeout 20 openvpn --config /tmp/client.conf --auth-user-pass /tmp/typed; test -e /tmp/connected";
        sandbox.run(&["sh", "-c", connect])
    });
}

#[test]
fn openvpn_with_a_field_for_the_code() {
    vpn("OpenVPN with a field for the code").judges(|sandbox, user, text| {
        let (password, code) = text.split_at(PASSWORD.len());
        sandbox.run(&["rm", "-f", "/tmp/connected"]);
        let mut client = sandbox.pty(None, &["timeout", "20", "openvpn", "--config", "/tmp/client.conf"]);
        client.expect("Username:");
        client.send(user);
        client.expect("Password:");
        client.send_hidden(password);
        client.expect("Verification code");
        client.send(code);
        client.finish();
        sandbox.run(&["test", "-e", "/tmp/connected"])
    });
}

#[test]
fn mariadb() {
    let host = Host::with("MariaDB");
    host.sandbox.run(&["install", "-d", "-o", "mysql", "/run/mysqld"]).success();
    host.serve("mariadbd --user=mysql", 3306);
    let account = host.recipe.behind("In `mariadb`");
    let accounts = ["alice", "bobby", "mallory"].map(|user| account.replace("alice", user)).concat();
    host.sandbox.run(&["mariadb", "-e", &accounts]).success();
    host.judges(|sandbox, user, text| {
        sandbox.run(&["mariadb", "-u", user, &format!("--password={text}"), "-e", "select 1"])
    });
    host.judges_fifty("mariadb -u bobby --password=\"$0\" -e 'select 1'");
}
