//! `~/.google_authenticator`: a key in base32, options behind `" `, then scratch codes. Read strictly: its
//! own module skips a line that it does not understand, and with it every scratch code that follows.

use crate::foreign::{Foreign, LineError, Note, Why, sha1};
use qrtotp_account::ScratchCode;
use qrtotp_otp::{MAX_CLOCK_OFFSET, Params, Secret, Step, Strength, base32};
use qrtotp_values::UnixTime;
use std::fmt;
use std::str::FromStr;

/// Most scratch codes of one file: as many used-marks as a record has.
const MAX_SCRATCH: usize = 32;
/// Steps around the present one that the other module takes at most.
const MAX_WINDOW: u32 = 100;
/// Steps by which the other module can ever find a clock to be off.
const MAX_SKEW: i32 = 25 * 60;

/// The file's options.
#[derive(Default)]
struct Options {
    totp: bool,
    period: Option<u32>,
    window: Option<u32>,
    /// With the number of its line.
    used: Option<(usize, Vec<Step>)>,
    /// With the number of its line.
    skew: Option<(usize, i32)>,
    rate_limit: bool,
}

/// Reads a file. It must have `TOTP_AUTH` or `HOTP_COUNTER`, which tells its kind.
///
/// # Errors
/// The first line that google-authenticator would not write, or that we can't follow.
pub fn parse(bytes: &[u8], now: UnixTime, strength: Strength) -> Result<Foreign, LineError> {
    let mut key = None;
    let mut notes = Vec::new();
    let mut options = Options::default();
    let mut scratch = Vec::new();
    let mut last = 1;
    let bytes = crate::foreign::without_bom(bytes);
    for (number, line) in (1..).zip(bytes.split(|byte| *byte == b'\n')) {
        let fail = |why: Why| why.at(number);
        let line = std::str::from_utf8(line).map_err(|_| fail(Why::Form("not text")))?;
        let line = line.trim_end();
        if line.is_empty() {
            continue;
        }
        last = number;
        if key.is_none() {
            key = Some(secret(line, strength, &mut notes).map_err(fail)?);
        } else if let Some(option) = line.strip_prefix("\" ") {
            options.read(number, option).map_err(fail)?;
        } else {
            let code = scratch_code(line).map_err(fail)?;
            if scratch.iter().any(|known| code.is_same(known)) {
                return Err(fail(Why::Form("a scratch code that is there already; each is good once")));
            }
            scratch.push(code);
            if scratch.len() > MAX_SCRATCH {
                return Err(fail(Why::Form("more than 32 scratch codes")));
            }
        }
    }
    if options.rate_limit {
        notes.push(Note::RateLimit);
    }
    let secret = key.ok_or(Why::Form("the file is empty").at(1))?;
    if !options.totp {
        return Err(Why::Form(
            "the file ends without saying TOTP_AUTH; only time-based keys can be imported",
        )
        .at(last));
    }
    let params = sha1(6, options.period.unwrap_or(30)).map_err(|why| why.at(last))?;
    let used = used(&options, params, now)?;
    // Around the present step; of an even number the odd one lies ahead.
    let window = options.window.unwrap_or(3);
    let drift = options.skew.map_or(Ok(0), |skew| drift(skew, params))?;
    Ok(Foreign {
        secret,
        params,
        used,
        drift,
        window: Some(((window - 1) / 2, window / 2)),
        scratch: Some(scratch),
        notes,
    })
}

/// The last used step that the file lists.
fn used(options: &Options, params: Params, now: UnixTime) -> Result<Option<Step>, LineError> {
    let Some((line, steps)) = &options.used else { return Ok(None) };
    if steps.iter().any(|step| *step > latest(params, now)) {
        return Err(Why::Form("a used step in the future; look at this host's clock").at(*line));
    }
    // The file lists steps whose codes could be used again; without any, none was used lately.
    Ok(Some(steps.iter().copied().max().unwrap_or(0)))
}

fn drift((line, steps): (usize, i32), params: Params) -> Result<i32, LineError> {
    let seconds = i64::from(steps) * i64::from(params.period());
    if seconds.abs() > MAX_CLOCK_OFFSET { Err(Why::Clock(seconds).at(line)) } else { Ok(steps) }
}

/// The last step that can be used by now: at the most astray clock that is taken over, at the end of the
/// widest window. A later one would lock its owner out until then.
fn latest(params: Params, now: UnixTime) -> Step {
    params.step_at(now.saturating_add(MAX_CLOCK_OFFSET)).saturating_add(u64::from(MAX_WINDOW / 2))
}

fn secret(line: &str, strength: Strength, notes: &mut Vec<Note>) -> Result<Secret, Why> {
    let typed = base32::decode_lenient(line)?;
    if typed.dropped_bits {
        notes.push(Note::DroppedBits);
    }
    Ok(Secret::from_bytes(&typed.bytes, strength)?)
}

fn scratch_code(line: &str) -> Result<ScratchCode, Why> {
    let digits = line.len() == 8 && line.bytes().all(|byte| byte.is_ascii_digit());
    let code = Some(line)
        .filter(|_| digits && !line.starts_with('0'))
        .and_then(|line| ScratchCode::parse(line.as_bytes()));
    code.ok_or(Why::Form(
        "neither an option nor a scratch code of eight digits; if nothing depends on it, take it out",
    ))
}

impl Options {
    fn read(&mut self, line: usize, option: &str) -> Result<(), Why> {
        let mut words = option.split_ascii_whitespace();
        let (name, mut values) = (words.next().unwrap_or_default(), words);
        match name {
            "TOTP_AUTH" => self.totp = true,
            "HOTP_COUNTER" => return Err(Why::Counter),
            "STEP_SIZE" => {
                let period = number(values.next(), 1..=60)?;
                sha1(6, period)?;
                once(&mut self.period, period)?;
            }
            "WINDOW_SIZE" => once(&mut self.window, number(values.next(), 1..=MAX_WINDOW)?)?,
            "TIME_SKEW" => once(&mut self.skew, (line, number(values.next(), -MAX_SKEW..=MAX_SKEW)?))?,
            "DISALLOW_REUSE" => {
                let used = values
                    .by_ref()
                    .map(|value| number(Some(value), 0..=Step::MAX))
                    .collect::<Result<_, _>>()?;
                once(&mut self.used, (line, used))?;
            }
            // The values, a history of logins, are not imported.
            "RATE_LIMIT" => {
                self.rate_limit = true;
                return Ok(());
            }
            "RESETTING_TIME_SKEW" => return Ok(()),
            last if last.strip_prefix("LAST").is_some_and(|n| n.parse::<u8>().is_ok()) => return Ok(()),
            _ => {
                return Err(Why::Form(
                    "an option that is not known here; if nothing depends on it, take it out",
                ));
            }
        }
        if values.next().is_some() { Err(Why::Form("too many values")) } else { Ok(()) }
    }
}

fn once<T>(slot: &mut Option<T>, value: T) -> Result<(), Why> {
    if slot.is_some() {
        return Err(Why::Form("an option is given twice"));
    }
    *slot = Some(value);
    Ok(())
}

fn number<T: FromStr + PartialOrd + fmt::Debug>(
    text: Option<&str>,
    bounds: std::ops::RangeInclusive<T>,
) -> Result<T, Why> {
    let number = text.and_then(|text| text.parse().ok()).filter(|number| bounds.contains(number));
    number.ok_or(Why::Form("a value that this option can't have"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    const NOW: UnixTime = 1_790_000_010;
    const KEY: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYA";

    fn read(text: &str) -> Result<Foreign, LineError> {
        parse(text.as_bytes(), NOW, Strength::Normal)
    }

    #[test]
    fn everything_that_the_file_says_is_taken_over() {
        let step = 1_790_000_010 / 15;
        let text = format!(
            "{KEY}\n\" RATE_LIMIT 3 30 1790000000\n\" STEP_SIZE 15\n\" WINDOW_SIZE 18\n\" DISALLOW_REUSE {step} {}\n\
             \" TIME_SKEW -4\n\" LAST0 192.0.2.1 1790000000\n\" TOTP_AUTH\n12345678\n99999999\n",
            step - 1
        );
        let found = read(&text).unwrap();
        assert_eq!(found.params, sha1(6, 15).unwrap());
        assert_eq!((found.used, found.drift, found.window), (Some(step), -4, Some((8, 9))));
        assert_eq!((found.secret.as_bytes().len(), found.notes.as_slice()), (16, &[Note::RateLimit][..]));
        assert!(found.scratch.unwrap()[1].is_same(&ScratchCode::parse(b"99999999").unwrap()));
    }

    #[test]
    fn what_is_not_said_is_what_google_authenticator_takes_for_granted() {
        let found = read(&format!("{KEY}\r\n\" TOTP_AUTH\r\n")).unwrap();
        assert_eq!((found.params, found.window), (Params::default(), Some((1, 1))));
        assert_eq!((found.used, found.drift, found.scratch.map(|codes| codes.len())), (None, 0, Some(0)));
    }

    #[test]
    fn a_key_is_taken_as_google_authenticator_reads_it() {
        for (key, notes) in [
            ("S46SQCPPTCNPROMHWYBDCTBZXV", &[Note::DroppedBits][..]),
            ("S46SQCPPTCNPROMHWYBDCTBZXVA", &[Note::DroppedBits]),
            ("\u{feff}S46SQCPPTCNPROMHWYBDCTBZXU", &[]),
            ("s46s qcpp-tcnp romh wybd ctbz xu======", &[]),
            ("S46SQCPPTCNPR0MHWY8DCT8ZXU", &[]),
        ] {
            let found = read(&format!("{key}\n\" TOTP_AUTH\n")).unwrap();
            assert_eq!((found.secret.as_bytes()[0], found.secret.as_bytes().len()), (0x97, 16), "{key}");
            assert_eq!(found.notes, notes, "{key}");
        }
    }

    #[test]
    fn a_bad_line_is_named_by_its_number() {
        let future = format!("\" DISALLOW_REUSE {NOW}\n12345678");
        for (line, rest, number) in [
            ("A!", "", 1),
            ("JBSWY3DPEHPK3PXP", "", 1),
            (KEY, "\" HOTP_COUNTER 1", 3),
            (KEY, "\" WINDOW_SIZE 0", 3),
            (KEY, "\" WINDOW_SIZE 3 3", 3),
            (KEY, "\" TIME_SKEW 1501", 3),
            (KEY, "\" STEP_SIZE 61", 3),
            (KEY, "\" STEP_SIZE 10\n12345678", 3),
            (KEY, "\" TOTP_TRUST", 3),
            (KEY, "\" DISALLOW_REUSE x", 3),
            (KEY, future.as_str(), 3),
            (KEY, "1234567", 3),
            (KEY, "02345678", 3),
            (KEY, "123456789", 3),
            (KEY, "12345678\n1234567x", 4),
            (KEY, "12345678\n87654321\n12345678", 5),
        ] {
            let found = read(&format!("{line}\n\" TOTP_AUTH\n{rest}\n")).unwrap_err();
            assert_eq!(found.line, number, "{rest}: {found}");
            assert!(
                !found.to_string().contains("ABCDEF") && !found.to_string().contains("1234567"),
                "{found}"
            );
        }
        assert_eq!(read(&format!("{KEY}\n\" WINDOW_SIZE 3\n")).unwrap_err().line, 2);
        assert_eq!(read("").unwrap_err().line, 1);
    }

    #[test]
    fn a_used_step_so_late_that_its_owner_would_be_locked_out_is_refused() {
        let last = NOW as u64 / 30 + 20 + 50;
        let of = |step: u64| read(&format!("{KEY}\n\" DISALLOW_REUSE {step}\n\" TOTP_AUTH\n"));
        assert_eq!(of(last).unwrap().used, Some(last));
        assert_eq!(of(last + 1).unwrap_err().line, 2);
    }

    #[test]
    fn a_clock_that_is_more_than_ten_minutes_off_is_refused_by_the_number_of_its_line() {
        for (steps, size, held) in [
            (20, 30, true),
            (-20, 30, true),
            (21, 30, false),
            (-21, 30, false),
            (40, 15, true),
            (-41, 15, false),
            (11, 60, false),
        ] {
            // The size of a step may be told after the skew.
            let text = format!("{KEY}\n\" TIME_SKEW {steps}\n\" STEP_SIZE {size}\n\" TOTP_AUTH\n");
            match read(&text) {
                Ok(found) => assert!(held && found.drift == steps, "{text}"),
                Err(error) => {
                    assert!(!held, "{text}");
                    assert_eq!(error, Why::Clock(i64::from(steps * size)).at(2));
                }
            }
        }
        let error = read(&format!("{KEY}\n\" TIME_SKEW -120\n\" TOTP_AUTH\n")).unwrap_err().to_string();
        assert!(error.starts_with("line 2: the device's clock is 3600 s behind this host's"), "{error}");
    }

    #[test]
    fn a_counting_key_is_refused_by_name_and_a_weak_one_only_at_first() {
        assert_eq!(read(&format!("{KEY}\n\" HOTP_COUNTER 7\n")).unwrap_err().why, Why::Counter);
        let weak = b"JBSWY3DPEHPK3PXP\n\" TOTP_AUTH\n";
        assert!(parse(weak, NOW, Strength::Normal).unwrap_err().why.is_weak());
        assert!(parse(weak, NOW, Strength::AllowWeak).is_ok());
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&bytes, NOW, Strength::AllowWeak);
        }

        #[test]
        fn any_options_are_read_without_a_panic(
            text in "(\" (TOTP_AUTH|STEP_SIZE|WINDOW_SIZE|TIME_SKEW|DISALLOW_REUSE|LAST[0-9]{1,4})( -?[0-9]{1,20}){0,3}\n){0,6}"
        ) {
            let _ = read(&format!("{KEY}\n{text}"));
        }
    }
}
