//! Tests that measure time, fill the machine or count its processes: they run one at a time.

mod broker_crowd;
mod broker_locks;
mod broker_oracle;
mod broker_storm;
mod forward_pass;
mod killed;
mod killed_enrolment;
mod no_memory;
mod refusal_times;
mod setuid_limits;
mod starved;
mod together;
