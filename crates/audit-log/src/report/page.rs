//! The report as one HTML page.

use super::escape::escape;
use super::plot::{WEEKDAYS, bars, day_of, days, hours};
use super::{Account, Counts, Report};
use qrtotp_values::text::utc;
use std::fmt::Write as _;

/// So many of the most frequent values have a bar.
const BARS: usize = 12;

/// Light and dark colours: paper, text, faint text, lines, accepted, denied. Tests hold them to WCAG's AA.
pub(super) const LIGHT: [&str; 6] = ["#ffffff", "#1b1b1f", "#55565e", "#8a8b93", "#1c6b45", "#b3261e"];
pub(super) const DARK: [&str; 6] = ["#14161a", "#e9e9ee", "#b4b6bf", "#74767f", "#6fcf97", "#ff8a80"];

const STYLE: &str = "
body { margin: 0 auto; max-width: 60rem; padding: 1rem 1.5rem 4rem; background: var(--paper); color: var(--text);
  font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 1.5rem 0 .2rem; } h2 { font-size: 1.25rem; margin: 2.2rem 0 .6rem; }
p { margin: .4rem 0; max-width: 46rem; } .faint, caption, summary { color: var(--faint); }
.verdict { border-left: .4rem solid var(--accepted); padding: .3rem 1rem; margin: 1rem 0; font-weight: 600; }
.verdict.bad { border-left-style: double; border-left-color: var(--denied); }
.tiles { display: flex; flex-wrap: wrap; gap: .6rem 2.2rem; margin: .8rem 0; padding: 0; list-style: none; }
.tiles b { display: block; font-size: 1.6rem; line-height: 1.2; font-variant-numeric: tabular-nums; }
table { border-collapse: collapse; width: 100%; font-size: .92rem; margin: .6rem 0; } caption { text-align: left; padding: .3rem 0; }
th, td { text-align: left; padding: .25rem .8rem .25rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
td.number, th.number { text-align: right; padding-right: 1.6rem; font-variant-numeric: tabular-nums; }
svg { display: block; width: 100%; height: auto; margin: .4rem 0; font: 12px system-ui, sans-serif; }
svg text { fill: var(--text); } svg .end { text-anchor: end; } .grid { stroke: var(--line); stroke-width: .6; }
.paper { fill: var(--paper); } .accepted { fill: var(--accepted); } .denied { fill: var(--denied); }
.hatched { fill: url(#hatch); stroke: var(--denied); stroke-width: .6; }
@page { margin: 15mm; }
@media print { body { max-width: none; padding: 0; font-size: 10pt; } details { display: none; }
  tr, svg, .verdict, .tiles li { break-inside: avoid; } h2 { break-after: avoid; } thead { display: table-header-group; } }
";

fn colours([paper, text, faint, line, accepted, denied]: [&str; 6]) -> String {
    format!(
        ":root {{ --paper: {paper}; --text: {text}; --faint: {faint}; --line: {line}; --accepted: {accepted}; \
         --denied: {denied}; }}"
    )
}

pub(super) fn page(report: &Report, accounts: &[(String, Account)]) -> String {
    let last_day = report.first_day + i64::try_from(report.days).unwrap_or(1) - 1;
    let title = format!("Second factors on {}", report.host);
    let mut out = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<meta name=\"color-scheme\" content=\"light dark\">\n\
         <title>{0}, {1} to {2}</title>\n<style>\n{3}\n@media screen and (prefers-color-scheme: dark) {{ {4} }}{STYLE}</style>\n\
         </head>\n<body>\n<main>\n<h1>{0}</h1>\n<p class=\"faint\">{1} to {2}, written {5}. All times are UTC.{6}</p>\n",
        escape(&title),
        day_of(report.first_day),
        day_of(last_day),
        colours(LIGHT),
        colours(DARK),
        utc(report.now),
        if report.pseudonyms.is_some() { " Accounts and places have numbers instead of names." } else { "" },
    );
    proof(report, &mut out);
    policies(report, &mut out);
    numbers(report, &mut out);
    plots(report, &mut out);
    actions(report, &mut out);
    per_account(accounts, &mut out);
    out.push_str("</main>\n</body>\n</html>\n");
    out
}

fn proof(report: &Report, out: &mut String) {
    let proof = &report.proof;
    let (class, verdict) = match (proof.found, proof.lost, proof.complete) {
        (0, 0, _) if proof.proven + proof.first == 0 => {
            (" bad", "No line of the log can be proven: none has a number.".to_owned())
        }
        (0, 0, true) => ("", "Nothing in the log was changed, removed or added.".to_owned()),
        (0, 0, false) => {
            (" bad", "Not all accounts could be read, so not all of the log is proven.".to_owned())
        }
        (0, lost, _) => {
            (" bad", format!("{lost} lines were lost. The store has them: run qrtotp audit repair."))
        }
        (found, lost, _) => {
            (" bad", format!("{found} lines were changed, removed or added; {lost} were lost."))
        }
    };
    let _ = write!(
        out,
        "<section aria-labelledby=\"proof\">\n<h2 id=\"proof\">Is the log whole?</h2>\n<p class=\"verdict{class}\">{verdict}</p>\n\
         <p>{} events of {} accounts in the whole log: {} proven, {} the first of a chain and taken on trust, {} look-alikes \
         that processes without root's rights wrote.</p>\n\
         <p>The numbers below leave out look-alikes, and {} lines that nothing proves: they do not follow their account's line \
         before, or have no place in a chain and come from a program that a user of this host started.</p>\n",
        proof.events, proof.accounts, proof.proven, proof.first, proof.forged, report.not_proven
    );
    if report.of_no_account > 0 {
        let text = "logins of accounts of which a finding says NO ACCOUNT: nothing proves them.";
        let _ = writeln!(out, "<p>The numbers count {} {text}</p>", report.of_no_account);
    }
    if !report.findings.is_empty() {
        let rows = report.findings.iter().map(|(user, seq, words)| {
            let user = if user.is_empty() { "the host" } else { user };
            let seq = if *seq == 0 { "-".to_owned() } else { seq.to_string() };
            format!("<tr><td>{}</td>{}<td>{}</td></tr>", escape(user), number(&seq), escape(words))
        });
        table("Findings", &["Account", "#Line", "What"], rows, out);
    }
    out.push_str("</section>\n");
}

fn policies(report: &Report, out: &mut String) {
    let (shown, left_out) = report.policies.listed();
    let rows = shown.iter().map(|action| {
        let policy = action.policy.as_deref().unwrap_or("-");
        let by = action.by.as_deref().unwrap_or("-");
        let kind = action.kind.trim_start_matches("policy_").replace('_', " ");
        format!(
            "<tr><td>{}</td>{}<td>{}</td><td>{}</td></tr>",
            utc(action.time),
            number(&escape(policy)),
            escape(&kind),
            escape(by)
        )
    });
    out.push_str("<section aria-labelledby=\"policy\">\n<h2 id=\"policy\">Configurations</h2>\n");
    if shown.is_empty() {
        out.push_str("<p>None was applied in this time.</p>\n");
    } else {
        let caption = caption("Who applied which configuration", shown.len(), left_out);
        table(&caption, &["When", "#Number", "What", "Who"], rows, out);
    }
    out.push_str("</section>\n");
}

fn numbers(report: &Report, out: &mut String) {
    let sum = |column: usize| report.by_day.iter().map(|counts| counts[column]).sum::<u64>();
    out.push_str(
        "<section aria-labelledby=\"numbers\">\n<h2 id=\"numbers\">In numbers</h2>\n<ul class=\"tiles\">\n",
    );
    for (count, what) in
        [(sum(0), "logins accepted"), (sum(1), "logins denied"), (sum(2), "let pass without a code")]
    {
        let _ = writeln!(out, "<li><b>{count}</b>{what}</li>");
    }
    out.push_str("</ul>\n<p>Accounts now:</p>\n<ul class=\"tiles\">\n");
    for (count, what) in &report.census {
        let _ = writeln!(out, "<li><b>{count}</b>{}</li>", escape(what));
    }
    out.push_str("</ul>\n</section>\n");
}

fn plots(report: &Report, out: &mut String) {
    out.push_str("<section aria-labelledby=\"days-h\">\n<h2 id=\"days-h\">Logins per day</h2>\n");
    out.push_str(&days(report.first_day, &report.by_day));
    out.push_str(
        "<p class=\"faint\">Solid: accepted. Hatched: denied.</p>\n<details><summary>As a table</summary>\n",
    );
    let rows = report.by_day.iter().enumerate().map(|(day, [accepted, denied, ignored])| {
        let day = day_of(report.first_day + i64::try_from(day).unwrap_or(0));
        format!(
            "<tr><td>{day}</td>{}{}{}</tr>",
            number(&accepted.to_string()),
            number(&denied.to_string()),
            number(&ignored.to_string())
        )
    });
    table("Logins per day", &["Day", "#Accepted", "#Denied", "#Without a code"], rows, out);
    out.push_str("</details>\n</section>\n<section aria-labelledby=\"hours-h\">\n");
    out.push_str("<h2 id=\"hours-h\">Logins by weekday and hour</h2>\n");
    out.push_str(&hours(&report.by_hour));
    out.push_str("<details><summary>As a table</summary>\n");
    let mut heads = vec!["Hour".to_owned()];
    heads.extend(WEEKDAYS.iter().map(|day| format!("#{}", &day[..3])));
    let heads: Vec<&str> = heads.iter().map(String::as_str).collect();
    let rows = (0..24).map(|hour| {
        let cells: String = report.by_hour.iter().map(|day| number(&day[hour].to_string())).collect();
        format!("<tr><td>{hour:02}:00</td>{cells}</tr>")
    });
    table("Logins by weekday and hour", &heads, rows, out);
    out.push_str("</details>\n</section>\n");
    for (id, title, counts, class) in [
        ("reasons", "Denied because", &report.reasons, "denied"),
        ("places", "Denied from", &report.places, "denied"),
        ("services", "Logins by service", &report.services, "accepted"),
        ("with", "Accepted with", &report.with, "accepted"),
        ("rules", "Decided by rule", &report.rules, "accepted"),
    ] {
        let (shown, left_out) = most(counts);
        if !shown.is_empty() {
            let _ = writeln!(out, "<section aria-labelledby=\"{id}-h\">\n<h2 id=\"{id}-h\">{title}</h2>");
            out.push_str(&bars(id, title, &shown, class));
            if left_out > 0 {
                let _ = writeln!(out, "<p class=\"faint\">And {left_out} others.</p>");
            }
            out.push_str("</section>\n");
        }
    }
}

/// The most frequent ones, and how many others there are.
fn most(counts: &Counts) -> (Vec<(String, u64)>, usize) {
    let mut sorted: Vec<(String, u64)> = counts.iter().map(|(name, count)| (name.clone(), *count)).collect();
    sorted.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    let left_out = sorted.len().saturating_sub(BARS);
    sorted.truncate(BARS);
    (sorted, left_out)
}

fn actions(report: &Report, out: &mut String) {
    out.push_str("<section aria-labelledby=\"deeds\">\n<h2 id=\"deeds\">What administrators did</h2>\n");
    let (shown, left_out) = report.actions.listed();
    if shown.is_empty() {
        out.push_str("<p>Nothing in this time.</p>\n</section>\n");
        return;
    }
    let rows = shown.iter().map(|action| {
        format!(
            "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
            utc(action.time),
            escape(&action.kind.replace('_', " ")),
            escape(action.user.as_deref().unwrap_or("-")),
            escape(action.by.as_deref().unwrap_or("-"))
        )
    });
    let caption = caption("All of them", shown.len(), left_out);
    table(&caption, &["When", "What", "Account", "Who"], rows, out);
    out.push_str("</section>\n");
}

fn caption(all: &str, shown: usize, left_out: u64) -> String {
    if left_out == 0 {
        return all.to_owned();
    }
    format!("The last {shown}; {left_out} before them are left out")
}

fn per_account(accounts: &[(String, Account)], out: &mut String) {
    out.push_str("<section aria-labelledby=\"accounts\">\n<h2 id=\"accounts\">By account</h2>\n");
    let rows = accounts.iter().map(|(name, account)| {
        format!(
            "<tr><td>{}</td>{}{}{}<td>{}</td></tr>",
            escape(name),
            number(&account.accepted.to_string()),
            number(&account.denied.to_string()),
            number(&account.changes.to_string()),
            account.last.map_or("-".to_owned(), utc)
        )
    });
    let heads = ["Account", "#Accepted", "#Denied", "#Other events", "Last accepted login"];
    table("Accounts with an event in this time", &heads, rows, out);
    out.push_str("</section>\n");
}

/// A cell with a number; the text is escaped already.
fn number(text: &str) -> String {
    format!("<td class=\"number\">{text}</td>")
}

/// Heads that begin with `#` are of numbers.
fn table(caption: &str, heads: &[&str], rows: impl Iterator<Item = String>, out: &mut String) {
    let _ = write!(out, "<table><caption>{}</caption>\n<thead><tr>", escape(caption));
    for head in heads {
        let (class, head) = head.strip_prefix('#').map_or(("", *head), |head| (" class=\"number\"", head));
        let _ = write!(out, "<th scope=\"col\"{class}>{head}</th>");
    }
    out.push_str("</tr></thead>\n<tbody>\n");
    for row in rows {
        out.push_str(&row);
        out.push('\n');
    }
    out.push_str("</tbody></table>\n");
}
