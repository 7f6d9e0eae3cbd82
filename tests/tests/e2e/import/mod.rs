//! Keys from other systems.

mod again;
mod files;
mod hostile;
