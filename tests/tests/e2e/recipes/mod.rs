//! docs/SERVICES.md, block by block.

mod services;
mod sshd;
mod terminal;
