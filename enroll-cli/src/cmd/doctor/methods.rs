//! The ways in that the settings of sshd leave: its methods, alone and in the lists of AuthenticationMethods.

use crate::sshd::SshdSettings;

/// The factors that sshd asks for before or instead of PAM.
const WITHOUT_PAM: [&str; 3] = ["pubkeyauthentication", "hostbasedauthentication", "gssapiauthentication"];

/// How sshd lets in.
pub struct Methods<'s> {
    /// It asks PAM's questions.
    pub interactive: bool,
    pub password: bool,
    pub pam: bool,
    pub any: bool,
    pub lists: Vec<&'s str>,
    /// Some way in passes PAM by, where any method is enough.
    pub outside: bool,
    key: bool,
    hostbased: bool,
    gssapi: bool,
}

impl<'s> Methods<'s> {
    pub fn of(settings: &'s SshdSettings) -> Self {
        let methods = settings.get("authenticationmethods").unwrap_or("any");
        let any = methods.eq_ignore_ascii_case("any");
        Self {
            outside: WITHOUT_PAM.iter().any(|keyword| settings.is_on(keyword)),
            interactive: settings.is_on("kbdinteractiveauthentication")
                || settings.is_on("challengeresponseauthentication"),
            password: settings.is_on("passwordauthentication"),
            pam: settings.is_on("usepam"),
            any,
            lists: if any { Vec::new() } else { methods.split_ascii_whitespace().collect() },
            key: settings.is_on("pubkeyauthentication"),
            hostbased: settings.is_on("hostbasedauthentication"),
            gssapi: settings.is_on("gssapiauthentication"),
        }
    }

    pub fn named(list: &str, wanted: &str) -> bool {
        list.split(',').any(|method| method.split(':').next() == Some(wanted))
    }

    /// Whether all methods of a list are on.
    pub fn usable(&self, list: &str) -> bool {
        self.way(list).is_some()
    }

    /// A list has something that sshd checks itself.
    fn proves(list: &str) -> bool {
        ["publickey", "hostbased", "gssapi-with-mic"].iter().any(|method| Self::named(list, method))
    }

    /// True if sshd asks PAM although it verified nothing.
    pub fn pam_alone(&self) -> bool {
        self.pam && (self.any || self.lists.iter().any(|list| !Self::proves(list)))
    }

    /// As `pam_alone`, by keyboard-interactive only: an attacker with neither key nor password gets that far.
    pub fn questions_alone(&self) -> bool {
        let alone = |list: &&str| {
            list.split(',').all(|method| method.split(':').next() == Some("keyboard-interactive"))
        };
        self.pam && self.interactive && (self.any || self.lists.iter().any(alone))
    }

    /// Whether a password lets in or leads to PAM's questions, without a key.
    pub fn takes_password(&self) -> bool {
        self.ways().iter().any(|way| way.proofs.is_empty())
    }

    /// Whether a key is part of a way in.
    pub fn takes_key(&self) -> bool {
        self.ways().iter().any(|way| way.proofs.contains(&KEY))
    }

    /// All ways in whose methods are on.
    pub fn ways(&self) -> Vec<Way> {
        let each = ["publickey", "hostbased", "gssapi-with-mic", "keyboard-interactive", "password"];
        let lists = if self.any { &each } else { self.lists.as_slice() };
        lists.iter().filter_map(|list| self.way(list)).collect()
    }

    /// `None`: one of its methods is off.
    fn way(&self, list: &str) -> Option<Way> {
        let mut way = Way { proofs: Vec::new(), asks: Asks::Nothing };
        for method in list.split(',') {
            // Linux has no other device for questions than PAM.
            match method.strip_suffix(":pam").unwrap_or(method) {
                "publickey" if self.key => way.proofs.push(KEY),
                "hostbased" if self.hostbased => way.proofs.push("the client's host key"),
                "gssapi-with-mic" if self.gssapi => way.proofs.push("a Kerberos ticket"),
                "keyboard-interactive" if self.interactive && self.pam => way.asks = Asks::Pam,
                "password" if self.password && self.pam => way.asks = way.asks.max(Asks::PamByPassword),
                "password" if self.password => way.asks = way.asks.max(Asks::Password),
                _ => return None,
            }
        }
        Some(way)
    }
}

pub const KEY: &str = "a key";

/// A way in.
#[derive(Debug, PartialEq, Eq)]
pub struct Way {
    /// Checked by sshd itself.
    pub proofs: Vec<&'static str>,
    pub asks: Asks,
}

/// The question behind the proofs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Asks {
    Nothing,
    /// sshd compares the password itself (UsePAM no).
    Password,
    /// PAM gets the password as the answer to each of its questions.
    PamByPassword,
    Pam,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ways(text: &str) -> String {
        let settings = SshdSettings(text.replace("; ", "\n"));
        let described = |way: Way| format!("{}:{:?}", way.proofs.join("+"), way.asks);
        Methods::of(&settings).ways().into_iter().map(described).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn the_ways_in_are_those_whose_methods_are_on() {
        let stock = "usepam yes; pubkeyauthentication yes; passwordauthentication yes";
        let keys = "usepam yes; pubkeyauthentication yes; passwordauthentication no; kbdinteractiveauthentication no";
        let ours = "usepam yes; pubkeyauthentication yes; kbdinteractiveauthentication yes";
        for (settings, expected) in [
            (stock.to_owned(), "a key:Nothing :PamByPassword"),
            (stock.replace("usepam yes", "usepam no"), "a key:Nothing :Password"),
            (keys.to_owned(), "a key:Nothing"),
            (format!("{ours}; authenticationmethods publickey,keyboard-interactive:pam"), "a key:Pam"),
            (format!("{ours}; authenticationmethods publickey keyboard-interactive"), "a key:Nothing :Pam"),
            (format!("{keys}; authenticationmethods publickey,keyboard-interactive"), ""),
            (format!("{stock}; authenticationmethods publickey,password"), "a key:PamByPassword"),
            (format!("{ours}; authenticationmethods keyboard-interactive:bsdauth"), ""),
        ] {
            assert_eq!(ways(&settings), expected, "{settings}");
        }
    }
}
