//! An administrator's commands, the packages, and the documented procedures.

mod bulk;
mod command;
mod config;
mod demo;
mod doctor;
mod doctor_login;
mod install_guide;
mod operations;
mod package;
mod selftest;
mod setup;
mod setup_layouts;
