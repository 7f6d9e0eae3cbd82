//! Whether the machine is idle.

use std::{fs, time::Duration};

use anyhow::{Context, Result};
use qrtotp_tests::clock::pause;

use crate::step::say;

/// Highest load, in percent of all cores, at which the machine counts as idle.
const IDLE: f64 = 10.0;

/// Waits until the cores are idle, for at most `patience` seconds. Returns a description of the load.
pub fn wait(patience: usize) -> Result<String> {
    let mut busy = look()?;
    for second in 0..patience {
        if busy <= IDLE {
            return Ok(format!("The cores were idle before measuring ({busy:.0} % at work)."));
        }
        if second % 10 == 0 {
            say(&format!("waiting for idle cores: others use {busy:.0} %"));
        }
        busy = look()?;
    }
    Ok(format!("**The machine was not idle**: before measuring, others used {busy:.0} % of the cores."))
}

/// The part of a second that the cores were at work, in percent.
fn look() -> Result<f64> {
    let (idle, all) = jiffies()?;
    pause(Duration::from_secs(1));
    let (later_idle, later_all) = jiffies()?;
    Ok(100.0 * (1.0 - (later_idle - idle) / (later_all - all).max(1.0)))
}

fn jiffies() -> Result<(f64, f64)> {
    let text = fs::read_to_string("/proc/stat")?;
    let line = text.lines().next().and_then(|line| line.strip_prefix("cpu ")).context("/proc/stat")?;
    // user nice system idle iowait irq softirq steal; guests are in user
    let numbers: Vec<f64> = line.split_whitespace().take(8).map(str::parse).collect::<Result<_, _>>()?;
    let idle: f64 = numbers.iter().skip(3).take(2).sum();
    Ok((idle, numbers.iter().sum()))
}
