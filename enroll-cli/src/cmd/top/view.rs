//! How `qrtotp top` looks: at least 80x24, reversed and bold only, so that it needs no colour.

use super::app::{App, Decided, Page};
use qrtotp_values::text::{clean, utc};
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

const KEYS: &str = "1-4 Tab page  Up Down choose  u unlock  r revoke  i reissue  g again  q quit";

pub fn draw(app: &App, frame: &mut Frame<'_>) {
    let area = frame.area();
    let (width, height) = (usize::from(area.width), usize::from(area.height));
    if height < 6 {
        frame.render_widget(Paragraph::new("The terminal is too small for qrtotp top."), area);
        return;
    }
    let mut lines = vec![title(app, width)];
    let room = height - 4;
    match app.page {
        Page::Events => events(app, room, &mut lines),
        Page::Rules => rules(app, room, &mut lines),
        Page::Accounts | Page::Tokens => accounts(app, room, width, &mut lines),
    }
    lines.resize(height - 2, Line::default());
    if let (Some(warning), Some(line)) =
        (app.question.as_ref().and_then(|question| question.warning.clone()), lines.last_mut())
    {
        *line = Line::styled(warning, Style::new().add_modifier(Modifier::BOLD));
    }
    lines.push(match &app.question {
        Some(question) => {
            let (text, typed) = (&question.text, clean(&question.typed, 64));
            // The end is what matters: there it is typed.
            let all: Vec<char> = format!("{text}{typed}_").chars().collect();
            let end = all.get(all.len().saturating_sub(width)..).unwrap_or_default();
            Line::styled(end.iter().collect::<String>(), Style::new().add_modifier(Modifier::BOLD))
        }
        None if app.message.is_empty() && app.unread > 0 => {
            Line::raw(format!("{} ACCOUNTS CAN'T BE READ: qrtotp doctor says why.", app.unread))
        }
        None => Line::styled(app.message.clone(), Style::new().add_modifier(Modifier::BOLD)),
    });
    lines.push(Line::styled(format!("{KEYS:<width$}"), Style::new().add_modifier(Modifier::REVERSED)));
    frame.render_widget(Paragraph::new(lines), Rect { x: 0, y: 0, ..area });
}

fn title(app: &App, width: usize) -> Line<'static> {
    let mut spans = vec![Span::raw("qrtotp top  ")];
    for (page, name) in [
        (Page::Events, "1 Events"),
        (Page::Accounts, "2 Accounts"),
        (Page::Tokens, "3 Tokens"),
        (Page::Rules, "4 Rules"),
    ] {
        // The brackets say it where nothing is reversed.
        let (text, style) = if app.page == page {
            (format!("[{name}]"), Style::new().add_modifier(Modifier::REVERSED))
        } else {
            (format!(" {name} "), Style::new())
        };
        spans.push(Span::styled(text, style));
    }
    let used: usize = spans.iter().map(|span| span.content.chars().count()).sum();
    let time = utc(app.read_at);
    let right = format!("{}  {}", clean(&app.host, 20), time.get(11..).unwrap_or_default());
    let gap = width.saturating_sub(used + right.chars().count());
    spans.push(Span::raw(format!("{}{right}", " ".repeat(gap))));
    Line::from(spans)
}

/// The newest at the bottom.
fn events(app: &App, room: usize, lines: &mut Vec<Line<'static>>) {
    let head = if app.back == 0 {
        format!("{} events of the last hour and since{}", app.events.len(), app.scope)
    } else {
        format!("{} events; {} newer ones below", app.events.len(), app.back)
    };
    lines.push(Line::styled(head, Style::new().add_modifier(Modifier::BOLD)));
    let end = app.events.len().saturating_sub(app.back);
    let start = end.saturating_sub(room);
    lines.extend(app.events.range(start..end).map(|line| {
        let bad = [" result=denied", " FORGED ", " NOT PROVEN "].iter().any(|word| line.contains(word));
        let style = if bad { Style::new().add_modifier(Modifier::BOLD) } else { Style::new() };
        Line::styled(line.clone(), style)
    }));
}

/// The rules that decided most often first; those that never did are candidates for removal.
fn rules(app: &App, room: usize, lines: &mut Vec<Line<'static>>) {
    let head = format!("  {:<32} {:>9} {:>9} {:>9} last", "rule", "accepted", "denied", "no code");
    lines.push(Line::styled(head, Style::new().add_modifier(Modifier::BOLD)));
    let mut rows: Vec<(&String, &Decided)> = app.rules.iter().collect();
    rows.sort_by_key(|(_, decided)| std::cmp::Reverse(decided.accepted + decided.denied + decided.ignored));
    for (name, Decided { accepted, denied, ignored, last }) in rows.iter().take(room) {
        let last = last.map_or("-".to_owned(), |last| utc(last).get(11..16).unwrap_or_default().to_owned());
        let name = fit(name, 32);
        lines.push(Line::raw(format!("  {name} {accepted:>9} {denied:>9} {ignored:>9} {last}")));
    }
    if rows.is_empty() {
        lines.push(Line::raw("  The configuration has no rule."));
    }
}

fn accounts(app: &App, room: usize, width: usize, lines: &mut Vec<Line<'static>>) {
    let rows = app.listed();
    let head = match app.page {
        Page::Tokens => format!("  {:<20} {:<10} {:<20} ends", "account", "token", "issued by"),
        _ => format!(
            "  {:<17} {:<9} {:>3} {:<16} {:>9} {:>6} {:>3} {:>8}",
            "account", "standing", "dev", "last code", "strangers", "places", "own", "recovery"
        ),
    };
    lines.push(Line::styled(head, Style::new().add_modifier(Modifier::BOLD)));
    let place = app.place();
    let start = (place + 1).saturating_sub(room);
    for (number, row) in rows.iter().enumerate().skip(start).take(room) {
        let mark = if number == place { '>' } else { ' ' };
        let text = match (&row.token, app.page) {
            (Some((id, by, ends)), Page::Tokens) => {
                let name = fit(row.name.as_str(), 20);
                let by = fit(by.as_deref().unwrap_or("(first_login)"), 20);
                format!("{mark} {name} {id:<10} {by} {}", utc(*ends))
            }
            _ => {
                let name = fit(row.name.as_str(), 17);
                let last = row.last_used.map_or("-".to_owned(), utc);
                let last = last.get(..16).unwrap_or(&last);
                let enrolment = if row.disabled { "DISABLED" } else { row.enrolment };
                let lane = |failures: u32, closed| format!("{failures}{}", if closed { "!" } else { "" });
                let [strangers, own] = row.closed;
                let (strangers, own) = (lane(row.strangers, strangers), lane(row.own, own));
                format!(
                    "{mark} {name} {enrolment:<9} {:>3} {last:<16} {strangers:>9} {:>6} {own:>3} {:>8}",
                    row.devices, row.places, row.recovery
                )
            }
        };
        let style =
            if number == place { Style::new().add_modifier(Modifier::REVERSED) } else { Style::new() };
        lines.push(Line::styled(format!("{text:<width$}"), style));
    }
    if rows.is_empty() {
        lines.push(Line::raw(if app.page == Page::Tokens { "  No open token." } else { "  No account." }));
    }
}

/// The text in so many columns.
fn fit(text: &str, width: usize) -> String {
    let short = clean(text, width);
    let short: String = short.chars().take(width).collect();
    format!("{short:<width$}")
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
