//! A login, in the order in which it happens. The file named for a step has its details.
//!
//! A step returns an error once it has decided the login, and otherwise lets it go on.

mod ending;
mod enrolment;
mod factor;
mod forward_pass;
mod rules;
mod unasked;
mod verify;

use ending::AccountChain;
pub use ending::REFUSAL_PERIOD;
pub(super) use ending::{Ending, finish};

use super::answer::Answer;
use super::answer_place::accepted_key;
use super::ask::ask_code;
use super::ruling::{Decided, Ruling};
use super::verification::Recorded;
use super::{Ctx, FirstPass, LoginHost, LookupError, NOBODY, Options, Outcome, Person, Unproven};
use factor::Factor;
use qrtotp_account::Name;
use qrtotp_clock::Answered;
use qrtotp_messages::{Message, text};

/// A login that goes on, under the settings of the rule that decided it.
struct Login<'l, 'c> {
    ctx: Ctx<'c>,
    options: &'l Options,
    host: &'l mut dyn LoginHost,
    ruling: Ruling,
}

/// Decides a login, asking as needed. Records exactly one `login` event.
pub fn login(mut ctx: Ctx<'_>, options: &Options, host: &mut dyn LoginHost) -> Outcome {
    let typed = std::mem::replace(&mut ctx.subject.user, NOBODY.to_owned());
    let person = ctx.directory.find(&typed);
    if let Ok(Some(person)) = &person {
        ctx.subject.user.clone_from(&person.name);
    }
    ctx.subject.key = accepted_key(ctx.config, &ctx.subject, host);
    let Decided { ruling, settings, .. } = match rules::decide(&mut ctx, host, &person) {
        Ok(decided) => decided,
        Err(ending) => return finish(&ctx.subject, ctx.audit, host, None, ending),
    };
    let config = settings.as_deref().unwrap_or(ctx.config);
    let mut login = Login { ctx: ctx.under(config), options, host, ruling };
    let (Ok(ending) | Err(ending)) = login.steps(person);
    let chain = AccountChain { store: login.ctx.store, clock: login.ctx.clock };
    finish(&login.ctx.subject, login.ctx.audit, login.host, Some(chain), ending)
}

impl Login<'_, '_> {
    fn steps(&mut self, person: Result<Option<Person>, LookupError>) -> Result<Box<Ending>, Box<Ending>> {
        self.skip_or_deny()?;
        let account = self.account(person)?;
        let account = account.as_ref();
        self.grace_period(account)?;
        self.remembered(account)?;

        // Ask.
        let password = self.host.password();
        let tried = self.try_password(account, password.as_deref())?;
        let question = self.question();
        let typed = ask_code(self.host, self.options, question, password.as_ref());
        let answered = Answered::now();
        let typed = match typed {
            Ok(typed) => typed,
            Err(why) => return Err(self.unanswered(tried, why)),
        };

        // Prove, enrol or verify, as the answer demands.
        match self.options.first_pass {
            FirstPass::Forward => return self.password_and_code(account, &typed),
            FirstPass::Use => return self.verify(account, &Answer::code(&typed), None, Factor::None),
            FirstPass::Ask | FirstPass::Try => {}
        }
        let factor = password.as_deref().map_or(Factor::None, |password| Factor::Password(password));
        if self.enrols() && typed.trim_ascii().is_empty() {
            return self.enrol_or_refuse(account, factor, answered);
        }
        if self.enrols() && Answer::could_be_token_code(&typed) {
            return self.enrol_or_refuse(account, Factor::TokenCode(&typed), answered);
        }
        let answer = match (self.ruling.steps_up(), self.ctx.config.verify.resync) {
            (true, _) => Answer::pair_or_recovery(&typed),
            (false, true) => Answer::code_or_pair(&typed),
            (false, false) => Answer::code(&typed),
        };
        self.verify(account, &answer, tried.as_ref(), factor)
    }

    /// The account to ask about. `None`: an unknown or denied user, who gets the same question as everyone,
    /// so that the prompt reveals neither.
    fn account(
        &self,
        person: Result<Option<Person>, LookupError>,
    ) -> Result<Option<(Name, u32)>, Box<Ending>> {
        let person = person.map_err(|error| Ending::lookup_failed(&error))?;
        let Some(Person { name, uid }) = person else { return Ok(None) };
        let name = Name::new(&name).map_err(|error| Ending::denied("name_refused", error.to_string()))?;
        Ok(Some((name, uid)).filter(|_| self.ruling.outcome != qrtotp_policy::Outcome::Deny))
    }

    fn question(&self) -> Message {
        match (self.ruling.steps_up(), self.enrols()) {
            (true, _) => text::QUESTION_TWO_CODES,
            (false, true) => text::QUESTION_OR_ENROL,
            (false, false) => text::QUESTION,
        }
    }

    /// How a login ends without an answer to our question. A password that was counted as a wrong code stays
    /// counted.
    fn unanswered(&self, tried: Option<Recorded>, why: Unproven) -> Box<Ending> {
        match tried {
            _ if !self.host.is_same_user() => Ending::user_changed(),
            Some(tried) if tried.verification.counted_as().is_some() => {
                Ending::answered(tried, why.detail.into())
            }
            _ => Ending::unproven(why),
        }
    }

    fn enrols(&self) -> bool {
        self.ctx.config.defaults.first_login.enrols()
    }

    fn same_user(&self) -> Result<(), Box<Ending>> {
        if self.host.is_same_user() { Ok(()) } else { Err(Ending::user_changed()) }
    }
}
