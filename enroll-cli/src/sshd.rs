//! The settings of this host's sshd, as `sshd -T` prints them.

use crate::program::{Silence, output};
use std::path::Path;
use std::process::Command;

const PLACES: [&str; 3] = ["/usr/sbin/sshd", "/usr/local/sbin/sshd", "/usr/bin/sshd"];

/// A connection from an address for documentation, of a user that no account has.
const ANY: &str = "user=somebody,host=203.0.113.1,addr=203.0.113.1,laddr=192.0.2.1,lport=22,rdomain=";

/// The program, if there is one.
pub fn program() -> Option<&'static str> {
    PLACES.into_iter().find(|path| Path::new(path).is_file())
}

/// `keyword value` lines, keywords in small letters.
pub struct SshdSettings(pub String);

impl SshdSettings {
    /// Asks `program`, with `user` for the settings that `Match` blocks give that user on a connection from
    /// this host.
    ///
    /// # Errors
    /// It prints nothing.
    pub fn ask(program: &str, user: Option<&str>) -> Result<Self, Silence> {
        let local = "host=localhost,addr=127.0.0.1,laddr=127.0.0.1,lport=22,rdomain=";
        match user {
            Some(user) => Self::ask_for(program, &format!("user={user},{local}")),
            None => match Self::ask_with(program, &[]) {
                // It has `Match LocalPort` or the like.
                Err(Silence::Refuses(words)) if words.contains("connection test specification") => {
                    Self::ask_for(program, ANY)
                }
                settings => settings,
            },
        }
    }

    /// The settings for a connection, as `sshd -C` takes it.
    ///
    /// # Errors
    /// It prints nothing.
    pub fn ask_for(program: &str, connection: &str) -> Result<Self, Silence> {
        Self::ask_with(program, &["-C", connection])
    }

    fn ask_with(program: &str, more: &[&str]) -> Result<Self, Silence> {
        let mut command = Command::new(program);
        command.arg("-T").args(more);
        output(command).map(Self)
    }

    pub fn get(&self, keyword: &str) -> Option<&str> {
        let mut lines = self.0.lines().filter_map(|line| line.trim().split_once(' '));
        lines.find(|(known, _)| known.eq_ignore_ascii_case(keyword)).map(|(_, value)| value.trim())
    }

    pub fn is_on(&self, keyword: &str) -> bool {
        self.get(keyword).is_some_and(|value| value.eq_ignore_ascii_case("yes"))
    }
}
