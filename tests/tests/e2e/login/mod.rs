//! Logins: who gets in by which application, and who does not.

mod accounts;
mod clients;
mod cockpit;
mod devices;
mod doas;
mod hardware_keys;
mod included;
mod intercepted;
mod lanes;
mod languages;
mod module;
mod openssh;
mod rules;
mod shipped;
mod ssh;
mod sudo_rs;
mod sudo_su;
mod traps;
mod unprivileged;
