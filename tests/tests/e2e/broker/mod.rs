//! The broker, as its callers see it.

mod callers;
mod capabilities;
mod hostile;
mod log;
mod picture;
mod primary;
mod services;
mod tokens;
mod users;
