//! `qrtotp key add`: registers a hardware ssh key that signs a fresh challenge. The user's own `ssh-keygen`
//! makes the signature; ours verifies it. No program of the user's runs on the terminal of the caller.

use crate::cli::AddKey;
use crate::context::{Context, HostUser, known_user, named_or_self, syslog};
use crate::error::{Exit, Failure};
use crate::program::{Silence, output_of};
use crate::terminal::Terminal;
use nix::sys::memfd::{MFdFlags, memfd_create};
use qrtotp_account::{HardwareKeyType, KeyFingerprint, Label, Name, PublicKey, signing_key};
use qrtotp_flow::{Dialog, Echo, ExistingCode, NewKey, SelfService};
use qrtotp_otp::{base32_encode, random_bytes};
use std::fs::File;
use std::io::{self, Seek, Write};
use std::os::fd::AsRawFd;
use std::process::Command;

const SSH_KEYGEN: &str = "/usr/bin/ssh-keygen";
/// Keeps signatures for other purposes out, and ours out of others (PROTOCOL.sshsig).
const NAMESPACE: &str = "qrtotp-key";
const SIGNATURE_END: &str = "-----END SSH SIGNATURE-----";
/// Most lines of a signature. Those of hardware keys have about ten.
const MOST_LINES: usize = 64;

pub fn add(context: &Context, args: AddKey) -> Result<Exit, Failure> {
    let typed = named_or_self(args.user, "key add")?;
    let account = known_user(&typed)?;
    let HostUser { name, uid } = &account;
    let (store, mut log) = (context.store()?, syslog());
    let mut ctx = context.flow(&*store, name.as_str(), &mut log);
    let mut terminal = Terminal::plain()?;
    let existing = if args.no_verify { ExistingCode::Skipped } else { ExistingCode::Required };
    let owner = SelfService { ctx: &mut ctx, name, uid: *uid, dialog: &mut terminal };
    let refused = |error| Failure::admin(&error, name.as_str());
    owner.prove_device(existing).map_err(refused)?;
    let random: [u8; 20] = random_bytes().map_err(|error| Failure::Error(format!("{error}; try again")))?;
    let challenge = format!("{NAMESPACE}-{}", base32_encode(&random));
    let signature = read_signature(&mut terminal, &challenge)?;
    let (kind, fingerprint) = verified(&signature, &challenge)?;
    if !args.yes {
        confirm(&mut terminal, &format!("{} {fingerprint}", kind.as_str()), name)?;
    }
    let label = Label::new(args.label.as_deref().unwrap_or_default());
    let key = NewKey { kind, fingerprint, label };
    let id = qrtotp_flow::register_key(&mut ctx, (name, *uid), &key, existing).map_err(refused)?;
    terminal.show_text(&format!("Done: {name} has the hardware ssh key {id}, {fingerprint}."));
    Ok(Exit::Done)
}

/// The signature that was made elsewhere.
fn read_signature(terminal: &mut Terminal, challenge: &str) -> Result<String, Failure> {
    terminal.show_text(&format!(
        "Where the key is plugged in, run this with the path of your key:\n\n  \
         echo {challenge} | ssh-keygen -Y sign -n {NAMESPACE} -f ~/.ssh/id_ed25519_sk\n\n\
         Then paste what it prints, from BEGIN to END."
    ));
    let (mut text, mut prompt) = (String::new(), "Signature: ");
    for _ in 0..MOST_LINES {
        let line = terminal.ask_text(std::mem::take(&mut prompt), Echo::On);
        let line =
            line.map_err(|_| Failure::Refused("no signature was given; nothing was changed".into()))?;
        text.push_str(String::from_utf8_lossy(&line).trim());
        text.push('\n');
        if text.trim_end().ends_with(SIGNATURE_END) {
            return Ok(text);
        }
    }
    Err(Failure::Refused("that is no signature of ssh-keygen; nothing was changed".into()))
}

/// Shows the key before it counts: a process of the user's can have signed with another one.
fn confirm(terminal: &mut Terminal, key: &str, name: &Name) -> Result<(), Failure> {
    terminal.show_text(&format!(
        "This key signed: {key}\n\
         Compare it with what `ssh-keygen -lf` prints for the .pub file where the key was made."
    ));
    let answer = terminal.ask_text(&format!("Register it for {name}? [y/N] "), Echo::On);
    match answer.unwrap_or_default().as_slice() {
        b"y" | b"Y" | b"yes" => Ok(()),
        _ => Err(Failure::Refused("nothing was changed; answer y, or add --yes".into())),
    }
}

/// The hardware key that signed the challenge.
fn verified(signature: &str, challenge: &str) -> Result<(HardwareKeyType, KeyFingerprint), Failure> {
    let refused = |why: &str| Failure::Refused(format!("{why}; nothing was changed"));
    let key = signing_key(signature).ok_or_else(|| refused("that is no signature of ssh-keygen"))?;
    let (kind, base64) = key.split_once(' ').unwrap_or_default();
    let hardware = HardwareKeyType::named(kind).zip(PublicKey::parse(kind, base64));
    let (kind, public) = hardware.ok_or_else(|| {
        refused("the key is no hardware key; `ssh-keygen -t ed25519-sk` makes one with a security key")
    })?;
    let failed = |error: io::Error| Failure::Error(format!("{error}; try again"));
    let signer = format!("user namespaces=\"{NAMESPACE}\" {key}\n");
    // Without MFD_CLOEXEC: ssh-keygen opens them by their numbers.
    let signer = memory(&signer, MFdFlags::empty()).map_err(failed)?;
    let signature = memory(signature, MFdFlags::empty()).map_err(failed)?;
    let path = |file: &File| format!("/proc/self/fd/{}", file.as_raw_fd());
    let mut verify = Command::new(SSH_KEYGEN);
    verify.args([
        "-Y",
        "verify",
        "-I",
        "user",
        "-n",
        NAMESPACE,
        "-f",
        &path(&signer),
        "-s",
        &path(&signature),
    ]);
    match output_of(verify, memory(&message(challenge), MFdFlags::MFD_CLOEXEC).map_err(failed)?) {
        Ok(_) => Ok((kind, public.fingerprint)),
        Err(Silence::Refuses(why)) => Err(refused(&format!("the signature is not right ({why})"))),
        Err(Silence::Unasked(why)) => {
            Err(Failure::Error(format!("{SSH_KEYGEN}: {why}; install openssh-client and try again")))
        }
    }
}

/// The message to sign: the challenge as `echo` prints it.
fn message(challenge: &str) -> String {
    format!("{challenge}\n")
}

fn memory(text: &str, flags: MFdFlags) -> io::Result<File> {
    let mut file = File::from(memfd_create("qrtotp-key", flags)?);
    file.write_all(text.as_bytes())?;
    file.rewind()?;
    Ok(file)
}
