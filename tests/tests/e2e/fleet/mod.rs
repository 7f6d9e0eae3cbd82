//! Many hosts with one set of accounts.

mod hosts;
mod logins;
mod relay;
