//! A network of its own for some machines: a bridge, and a namespace for each of them.

use std::{
    fs,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result};
use qrtotp_tests::clock;

use crate::step::run as step;

/// The namespaces end with it.
pub struct Network {
    /// Processes that hold the namespaces: the bridge's first.
    holders: Vec<Child>,
}

impl Network {
    /// # Errors
    /// iproute2 or util-linux fail.
    pub fn new(addresses: &[&str]) -> Result<Self> {
        let mut network = Self { holders: Vec::new() };
        for _ in 0..=addresses.len() {
            network.holders.push(hold()?);
        }
        let hub = network.holders[0].id();
        let mut script = format!(
            "hub() {{ nsenter --net --target {hub} \"$@\"; }}
             hub ip link add br0 type bridge; hub ip link set br0 up\n"
        );
        for (number, (address, holder)) in addresses.iter().zip(&network.holders[1..]).enumerate() {
            let own = holder.id();
            script += &format!(
                "hub ip link add p{number} type veth peer name lan0 netns {own}
                 hub ip link set p{number} master br0 up
                 nsenter --net --target {own} sh -ec 'ip link set lo up; ip addr add {address}/8 dev lan0; ip link set lan0 up'\n"
            );
        }
        step(Command::new("sh").args(["-ec", &script]))?;
        Ok(network)
    }

    /// The namespace of the machine with this number.
    pub fn place(&self, number: usize) -> PathBuf {
        PathBuf::from(format!("/proc/{}/ns/net", self.holders[number + 1].id()))
    }
}

/// A process in a new network namespace.
fn hold() -> Result<Child> {
    let mut holder = Command::new("unshare");
    let holder = holder.args(["--net", "sleep", "infinity"]).stdin(Stdio::null()).spawn()?;
    let ours = fs::read_link("/proc/self/ns/net")?;
    let path = format!("/proc/{}/ns/net", holder.id());
    let is_there = || fs::read_link(&path).is_ok_and(|found| found != ours).then_some(());
    clock::poll(Duration::from_secs(10), is_there).context("no network namespace")?;
    Ok(holder)
}

impl Drop for Network {
    fn drop(&mut self) {
        for holder in &mut self.holders {
            let _ = holder.kill();
            let _ = holder.wait();
        }
    }
}
