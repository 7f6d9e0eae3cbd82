//! Searches for secrets wherever they could have gone.

mod in_memory;
mod of_programs;
mod on_disk;
