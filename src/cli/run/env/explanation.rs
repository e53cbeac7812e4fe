//! An environment explained to the person who wonders why something is found, or is not.

use std::fmt::Write as _;

use slashopt::environment::{
    Environment, LeftOut, LeftOutReason, Presence, SearchEntry, Target, Variable,
};
use slashopt::runtime::Runtime;

pub(crate) use crate::cli::output::words::shown;

/// The widest directory that still decides where the next column begins, in characters.
const WIDEST_COLUMN: usize = 64;

/// A line of a search path: what, whether it is there, from where, and why.
struct Line {
    directory: String,
    state: &'static str,
    layers: String,
    rule: &'static str,
}

/// The explanation as text: a paragraph a variable, a line an entry.
pub(crate) fn explanation(environment: &Environment, runtime: &Runtime, target: Target) -> Vec<u8> {
    let mut out = format!("runtime {runtime}, target {}\n", target.name());
    for variable in &environment.variables {
        paragraph(variable, &environment.left_out, &mut out);
    }
    let mut unset: Vec<&str> = Vec::new();
    for LeftOut { variable, .. } in &environment.left_out {
        if environment.variable(variable).is_none() && !unset.contains(variable) {
            unset.push(variable);
        }
    }
    for name in unset {
        let lines = left_out_of(name, &environment.left_out);
        heading(
            name,
            "not set, for it would name nothing that exists",
            &mut out,
        );
        aligned(&lines, &mut out);
    }
    out.into_bytes()
}

fn paragraph(variable: &Variable, left_out: &[LeftOut], out: &mut String) {
    let name = shown(&variable.name);
    heading(&name, variable.rule, out);
    if variable.entries.is_empty() {
        let value = if variable.value.is_empty() {
            "(empty)".into()
        } else {
            shown(&variable.value)
        };
        line(&value, out);
    } else {
        let mut lines: Vec<Line> = variable.entries.iter().map(Line::from).collect();
        lines.extend(left_out_of(&name, left_out));
        aligned(&lines, out);
    }
}

fn heading(name: &str, rule: &str, out: &mut String) {
    out.push('\n');
    out.push_str(name);
    out.push_str(": ");
    out.push_str(rule);
    out.push('\n');
}

fn line(text: &str, out: &mut String) {
    out.push_str("  ");
    out.push_str(text);
    out.push('\n');
}

impl From<&SearchEntry> for Line {
    fn from(entry: &SearchEntry) -> Self {
        let state = match entry.presence {
            Presence::Present => "exists",
            Presence::Missing => "missing",
            Presence::Unjudged => "-",
        };
        let numbers: Vec<String> = entry.provided_by.iter().map(ToString::to_string).collect();
        let layers = match numbers.len() {
            0 => String::new(),
            1 => format!("layer {}", numbers.join("")),
            _ => format!("layers {}", numbers.join(", ")),
        };
        Self {
            directory: shown(&entry.directory),
            state,
            layers,
            rule: entry.rule,
        }
    }
}

/// The lines for what a variable does not list.
fn left_out_of(name: &str, left_out: &[LeftOut]) -> Vec<Line> {
    let of_variable = left_out.iter().filter(|one| one.variable == name);
    of_variable
        .map(|one| Line {
            directory: shown(&one.directory),
            state: "left out",
            layers: String::new(),
            rule: match one.reason {
                LeftOutReason::ColonInName => "its name holds `:`, which no search path can hold",
                LeftOutReason::Missing => "the root has no such directory",
                LeftOutReason::NothingToFind => "does not exist",
            },
        })
        .collect()
}

/// The lines in columns; the one for layers only where a layer is named.
fn aligned(lines: &[Line], out: &mut String) {
    let width = |column: fn(&Line) -> &str| {
        let widths = lines.iter().map(|line| column(line).chars().count());
        widths
            .filter(|width| *width <= WIDEST_COLUMN)
            .max()
            .unwrap_or_default()
    };
    let directories = width(|line| &line.directory);
    let states = width(|line| line.state);
    let layers = width(|line| &line.layers);
    for Line {
        directory,
        state,
        layers: named,
        rule,
    } in lines
    {
        let mut text = format!("{directory:directories$}  {state:states$}");
        if layers > 0 {
            let _ = write!(text, "  {named:layers$}");
        }
        line(&format!("{text}  {rule}"), out);
    }
}
