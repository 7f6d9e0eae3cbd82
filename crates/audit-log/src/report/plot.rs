//! Plots as inline SVG. Nothing depends on colour: denied logins are hatched, and each plot has its numbers
//! as text beside it.

use super::escape::escape;
use qrtotp_values::text::utc;
use std::fmt::Write as _;

const WIDTH: f64 = 720.0;

/// A picture with a title and a description for people who don't see it.
fn svg(id: &str, height: f64, title: &str, description: &str, body: &str) -> String {
    format!(
        "<svg viewBox=\"0 0 {WIDTH:.0} {height:.0}\" role=\"img\" aria-labelledby=\"{id}-t {id}-d\">\
         <title id=\"{id}-t\">{}</title><desc id=\"{id}-d\">{}</desc>{body}</svg>\n",
        escape(title),
        escape(description)
    )
}

/// 1, 2 or 4 times a power of ten that is at least `most`, so that its half is a whole number above 1.
fn scale(most: u64) -> u64 {
    let mut step = 1_u64;
    loop {
        for times in [1, 2, 4] {
            let value = step.saturating_mul(times);
            if value >= most {
                return value;
            }
        }
        step = step.saturating_mul(10);
    }
}

fn part(value: u64, of: u64, length: f64) -> f64 {
    if of == 0 { 0.0 } else { value as f64 / of as f64 * length }
}

/// Accepted logins below denied ones, a bar for each day.
pub(super) fn days(first_day: i64, by_day: &[[u64; 3]]) -> String {
    let (left, top, plot_height) = (48.0, 12.0, 180.0);
    let most = by_day.iter().map(|[accepted, denied, _]| accepted + denied).max().unwrap_or(0);
    let most = scale(most.max(1));
    let each = (WIDTH - left) / by_day.len().max(1) as f64;
    let mut body = String::from(
        "<defs><pattern id=\"hatch\" width=\"4\" height=\"4\" patternUnits=\"userSpaceOnUse\" \
         patternTransform=\"rotate(45)\"><rect width=\"4\" height=\"4\" class=\"paper\"/>\
         <rect width=\"2.4\" height=\"4\" class=\"denied\"/></pattern></defs>",
    );
    for (value, y) in [(most, top), (most / 2, top + plot_height / 2.0), (0, top + plot_height)] {
        if value == most / 2 && most < 2 {
            continue;
        }
        let _ = write!(
            body,
            "<line x1=\"{left}\" x2=\"{WIDTH}\" y1=\"{y}\" y2=\"{y}\" class=\"grid\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\" class=\"end\">{value}</text>",
            left - 6.0,
            y + 4.0
        );
    }
    let label_every = by_day.len().div_ceil(7).max(1);
    for (number, [accepted, denied, _]) in by_day.iter().enumerate() {
        let x = left + number as f64 * each;
        let width = (each * 0.8).max(0.5);
        let (low, high) = (part(*accepted, most, plot_height), part(*denied, most, plot_height));
        let base = top + plot_height;
        let _ = write!(
            body,
            "<rect x=\"{x:.1}\" y=\"{:.1}\" width=\"{width:.1}\" height=\"{low:.1}\" class=\"accepted\"/>\
             <rect x=\"{x:.1}\" y=\"{:.1}\" width=\"{width:.1}\" height=\"{high:.1}\" class=\"hatched\"/>",
            base - low,
            base - low - high
        );
        if number % label_every == 0 {
            let day = day_of(first_day + i64::try_from(number).unwrap_or(0));
            let _ = write!(body, "<text x=\"{x:.1}\" y=\"{:.1}\">{}</text>", base + 18.0, &day[5..]);
        }
    }
    let text = "A bar for each day: accepted logins, and denied ones (hatched) on top of them.";
    svg("days", top + plot_height + 28.0, "Logins per day", text, &body)
}

/// A day as `2026-11-29`.
pub(super) fn day_of(day: i64) -> String {
    utc(day.saturating_mul(super::DAY)).chars().take(10).collect()
}

pub(super) const WEEKDAYS: [&str; 7] =
    ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

/// A square for each hour of the week; its area is the number of logins.
pub(super) fn hours(by_hour: &[[u64; 24]; 7]) -> String {
    let (left, top, cell) = (96.0, 8.0, 26.0);
    let most = by_hour.iter().flatten().copied().max().unwrap_or(0).max(1);
    let mut body = String::new();
    for (weekday, hours) in by_hour.iter().enumerate() {
        let y = top + (weekday as f64 + 0.5) * cell;
        let _ = write!(
            body,
            "<text x=\"{:.1}\" y=\"{:.1}\" class=\"end\">{}</text>\
             <line x1=\"{left}\" x2=\"{WIDTH}\" y1=\"{y:.1}\" y2=\"{y:.1}\" class=\"grid\"/>",
            left - 8.0,
            y + 4.0,
            WEEKDAYS[weekday]
        );
        for (hour, count) in hours.iter().enumerate().filter(|(_, count)| **count > 0) {
            let side = (part(*count, most, 1.0).sqrt() * (cell - 4.0)).max(3.0);
            let x = left + (hour as f64 + 0.5) * cell - side / 2.0;
            let _ = write!(
                body,
                "<rect x=\"{x:.1}\" y=\"{:.1}\" width=\"{side:.1}\" height=\"{side:.1}\" class=\"accepted\"/>",
                y - side / 2.0
            );
        }
    }
    for hour in (0..24).step_by(3) {
        let x = left + f64::from(hour) * cell;
        let _ = write!(body, "<text x=\"{x:.1}\" y=\"{:.1}\">{hour:02}:00</text>", top + 7.0 * cell + 18.0);
    }
    let text = "A square for each hour of each weekday. The larger it is, the more logins there were.";
    svg("hours", top + 7.0 * cell + 28.0, "Logins by weekday and hour (UTC)", text, &body)
}

/// The attributes by which a text of wide letters gets narrower ones, if it may need more than `room`.
fn squeezed(text: &str, room: f64) -> String {
    let width =
        |c: char| if c.is_ascii() && !c.is_ascii_uppercase() && !"mw%@".contains(c) { 7.0 } else { 12.0 };
    match text.chars().map(width).sum::<f64>() > room {
        true => format!(" textLength=\"{room}\" lengthAdjust=\"spacingAndGlyphs\""),
        false => String::new(),
    }
}

/// Bars beside each other, with names and numbers. `class` says how they are filled.
pub(super) fn bars(id: &str, title: &str, values: &[(String, u64)], class: &str) -> String {
    let (left, row) = (230.0, 24.0);
    let most = values.iter().map(|(_, count)| *count).max().unwrap_or(0);
    let mut body = String::new();
    for (number, (name, count)) in values.iter().enumerate() {
        let y = number as f64 * row + 4.0;
        let short: String = if name.chars().count() > 30 {
            name.chars().take(29).chain(['…']).collect()
        } else {
            name.clone()
        };
        let width = part(*count, most, WIDTH - left - 80.0).max(1.0);
        let _ = write!(
            body,
            "<text x=\"{:.1}\" y=\"{:.1}\" class=\"end\"{}>{}</text>\
             <rect x=\"{left}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{:.1}\" class=\"{class}\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\">{count}</text>",
            left - 8.0,
            y + 13.0,
            squeezed(&short, left - 16.0),
            escape(&short),
            row - 7.0,
            left + width + 6.0,
            y + 13.0
        );
    }
    svg(id, values.len() as f64 * row + 8.0, title, "A bar for each, with its number.", &body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_line_of_a_plot_is_half_of_its_top() {
        assert_eq!([0, 1, 2, 3, 5, 41, 1000, 1001].map(scale), [1, 1, 2, 4, 10, 100, 1000, 2000]);
        assert!((2..5000).map(scale).all(|top| top % 2 == 0));
    }
}
