//! Enrolment: what is on the screen, who may enrol, and when.

mod faillock;
mod first_login;
mod first_login_rules;
mod looks;
mod proof_service;
mod scan;
mod shipped_first_login;
mod ssh_keys;
mod terminals;
mod uri_oracles;
