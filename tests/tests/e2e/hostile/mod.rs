//! Broken disks, failing calls, and applications in a broken state.

mod failing_calls;
mod hosts;
mod killed_lines;
mod records;
