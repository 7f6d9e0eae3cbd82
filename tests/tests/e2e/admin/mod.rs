//! An administrator's commands, the packages, and the documented procedures.

mod ansible;
mod bulk;
mod command;
mod completion;
mod config;
mod demo;
mod doctor;
mod doctor_fix;
mod doctor_login;
mod install_guide;
mod metrics;
mod operations;
mod package;
mod selftest;
mod setup;
mod setup_layouts;
mod setup_power;
